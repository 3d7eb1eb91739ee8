"""Optimisers by name: functions from the values of a config to an optax transformation.

A learning rate follows a schedule in images of the run, of which `images_per_update` pass between two updates. It rises
from 0 in `warmup_images`. From there it falls by `anneal` ("linear" or "cosine"), and at `anneal_images` the share
`final` of it is left. `decay` is that of Keras 2, in updates: after n updates the rate is divided by 1 + decay * n.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logogan_jax.core.errors import UserError

# Functions of progress, which is 0 at the end of the warm-up and 1 at that of the annealing.
ANNEALS = {"linear": lambda progress: 1 - progress, "cosine": lambda progress: (1 + jnp.cos(jnp.pi * progress)) / 2}


def adam(
    *,
    images_per_update: float,
    learning_rate: float,
    b1: float,
    b2: float,
    decay: float = 0.0,
    warmup_images: float = 0,
    anneal: str = "none",
    anneal_images: float = 0,
    final: float = 0.0,
) -> optax.GradientTransformation:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980)."""
    rate = _scheduled(_decayed(learning_rate, decay), images_per_update, warmup_images, anneal, anneal_images, final)
    # Optax's defaults are the paper's: an epsilon of 1e-8, outside the root.
    return optax.adam(rate, b1=b1, b2=b2)


def rmsprop(
    *,
    images_per_update: float,
    learning_rate: float,
    decay: float = 0.0,
    warmup_images: float = 0,
    anneal: str = "none",
    anneal_images: float = 0,
    final: float = 0.0,
) -> optax.GradientTransformation:
    """RMSprop as Keras has it: rho 0.9, accumulator from 0, epsilon outside the root."""
    return _rmsprop(
        _scheduled(_decayed(learning_rate, decay), images_per_update, warmup_images, anneal, anneal_images, final)
    )


def rmsprop_by_turns(
    *, learning_rate: float, second_learning_rate: float, decay: float = 0.0, second_decay: float = 0.0
) -> optax.GradientTransformation:
    """Two RMSprops that take turns; each has an accumulator, a rate and a count of updates.

    In the walkthrough's DCGAN of 2018 the discriminator is updated in its own turn, by the first, and again in the
    generator's turn, by the second.
    """
    # Neither warm-up nor annealing: the script of 2018 had none.
    first = _rmsprop(_decayed(learning_rate, decay))
    second = _rmsprop(_decayed(second_learning_rate, second_decay))

    def init(params):
        return Turns(jnp.zeros((), jnp.int32), first.init(params), second.init(params))

    def update(updates, state, params=None):
        first_updates, first_state = first.update(updates, state.first, params)
        second_updates, second_state = second.update(updates, state.second, params)
        # In a step the critic's own turn comes before the generator's.
        is_first = state.count % 2 == 0
        # Both are computed and one is taken: a branch of two programs costs more than these few sums.
        select = lambda yes, no: jax.tree.map(lambda a, b: jnp.where(is_first, a, b), yes, no)
        new_state = Turns(state.count + 1, select(first_state, state.first), select(state.second, second_state))
        return select(first_updates, second_updates), new_state

    return optax.GradientTransformation(init, update)


class Turns(NamedTuple):
    """The state of two optimisers that take turns."""

    count: jax.Array  # int32[]: updates so far
    first: Any
    second: Any


def sgd(
    *,
    images_per_update: float,
    learning_rate: float,
    warmup_images: float = 0,
    anneal: str = "none",
    anneal_images: float = 0,
    final: float = 0.0,
) -> optax.GradientTransformation:
    """Plain gradient descent: linear in the gradient, so tests can compare numbers of devices."""
    return optax.sgd(_scheduled(learning_rate, images_per_update, warmup_images, anneal, anneal_images, final))


OPTIMIZERS = {"adam": adam, "rmsprop": rmsprop, "rmsprop_by_turns": rmsprop_by_turns, "sgd": sgd}


def _rmsprop(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    # Keras's values since version 2.1.3. Optax's own are 1e-8, inside the root.
    return optax.rmsprop(rate, decay=0.9, eps=1e-7, initial_scale=0.0, eps_in_sqrt=False)


def _decayed(learning_rate: float, decay: float) -> optax.Schedule:
    # Keras 2's time-based schedule; a decay of 0 is a constant rate.
    return lambda count: learning_rate / (1.0 + decay * count)


def _scheduled(
    rate: optax.ScalarOrSchedule,
    images_per_update: float,
    warmup_images: float,
    anneal: str,
    anneal_images: float,
    final: float,
) -> optax.ScalarOrSchedule:
    """Return the rate with warm-up and annealing. Rates are numbers, or functions of the number of updates so far."""
    if anneal not in ("none", *ANNEALS):
        raise UserError(f"config.optimizer.*.anneal is {anneal!r}: it should be one of none, {', '.join(ANNEALS)}")
    if warmup_images < 0:
        raise UserError(f"config.optimizer.*.warmup_images is {warmup_images}: it should be a number of images, or 0")
    if anneal != "none" and anneal_images <= warmup_images:
        raise UserError(
            f"config.optimizer.*.anneal_images is {anneal_images}: with anneal={anneal!r} it should be the images at "
            f"which the rate stops falling, such as train.steps x train.batch_size, above warmup_images "
            f"({warmup_images})"
        )
    # It would have no effect, and nobody would notice.
    if anneal == "none" and anneal_images:
        raise UserError(
            f"config.optimizer.*.anneal_images is {anneal_images}, but anneal is 'none': name linear or cosine"
        )
    if anneal == "none" and not warmup_images:
        return rate

    def schedule(count):
        # In images, not in steps, so that another batch size keeps the schedule of the recipe.
        images = count * jnp.float32(images_per_update)
        # The first update of a warm-up changes nothing: its rate is 0.
        share = jnp.minimum(images / warmup_images, 1.0) if warmup_images else 1.0
        if anneal != "none":
            # Progress is 0 during the warm-up, so that the two never act together.
            progress = jnp.clip((images - warmup_images) / (anneal_images - warmup_images), 0.0, 1.0)
            share *= final + (1 - final) * ANNEALS[anneal](progress)
        return share * (rate(count) if callable(rate) else rate)

    return schedule
