"""Several training steps of one replica in one program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from logogan_jax.training.train_state import TrainState
from logogan_jax.training.train_step import Metrics, TrainStep, scan


def make_multi_step(train_step: TrainStep, source: Any, count: int, *, unroll: bool) -> Callable:
    """Make multi_step(state, feed) -> (state, metrics [count]): `count` steps of one replica in one program.

    `source.batch(feed, i)` is the batch of the i-th of these steps. Unrolled on a CPU and scanned on an accelerator,
    for the reason that `updates_of_player` tells.
    """

    if unroll or count == 1:

        def multi_step(state: TrainState, feed: Any) -> tuple[TrainState, Metrics]:
            # Metrics of each step, not their mean: the first number that is not finite has to be found.
            steps = []
            for i in range(count):
                # Inside of the program: where the images lie on the devices, only their numbers come from the host.
                state, metrics = train_step(state, source.batch(feed, i))
                steps.append(metrics)
            return state, jax.tree.map(lambda *values: jnp.stack(values), *steps)

    else:

        def multi_step(state: TrainState, feed: Any) -> tuple[TrainState, Metrics]:
            return scan(lambda state, i: train_step(state, source.batch(feed, i)), state, count)

    return multi_step
