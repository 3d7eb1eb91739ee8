"""What is trained: networks, their objective and their optimizers, without data or devices."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import optax
from flax import nnx

from logogan_jax.objectives.base import Objective
from logogan_jax.training.train_state import TrainState


class Model(NamedTuple):
    """Networks by role, with what is learned by them and how.

    Attributes:
        objective: the players and their losses.
        optimizers: an optimizer for each network.
        graphdefs: the static part of each network; its arrays are in the TrainState.
        init_state: function () -> TrainState of step 0, always the same.
        generate: compiled function (state, key, numbers int32[n], label=None) -> uint8[n, H, W, C], see
            sampling.py.
        labels: compiled function (key, numbers int32[n]) -> int32[n], the labels of the pictures that it draws.
        score: compiled function (state, pixels uint8[n, H, W, C], label int32[n]) -> float32[n], the critic's score of
            each image; None without a critic.
    """

    objective: Objective
    optimizers: dict[str, optax.GradientTransformation]
    graphdefs: dict[str, nnx.GraphDef]
    init_state: Callable[[], TrainState]
    generate: Callable[..., jax.Array]
    labels: Callable[..., jax.Array]
    score: Callable[..., jax.Array] | None


def merge(graphdefs: dict[str, nnx.GraphDef], params: dict[str, Any], model_state: dict[str, Any]) -> SimpleNamespace:
    """Return callable networks by role, from their static parts and arrays."""
    networks = {}
    for name, graphdef in graphdefs.items():
        arrays = (nnx.State(params[name]), nnx.State(model_state[name]))
        # A copy, because batch norm would otherwise write its statistics into another trace.
        networks[name] = nnx.merge(graphdef, *arrays, copy=True)
    return SimpleNamespace(**networks)


def model_state_of(network: nnx.Module) -> dict[str, Any]:
    """Return what a network keeps besides its parameters, as the last call left it."""
    # Flax writes new batch statistics into the module while it runs. Here they become values again, since a step is a
    # function of its state.
    _, _, rest = nnx.split(network, nnx.Param, ...)
    return nnx.to_pure_dict(rest)
