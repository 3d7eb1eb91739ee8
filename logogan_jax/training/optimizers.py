"""Optimisers by name, as plain values -> optax transformation.

Learning rates follow schedules in images of a run, `images_per_update` of which pass between two updates: a rate rises
from 0 in `warmup_images`, and falls by `anneal` ("linear" or "cosine") from there to the share `final` of itself at
`anneal_images`. `decay` is Keras 2's, in updates: the rate after n of them is divided by 1 + decay * n.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logogan_jax.core.errors import UserError

# Of the share of the way from the end of the warm-up to that of the annealing: how much of the fall is still to come.
ANNEALS = {"linear": lambda way: 1 - way, "cosine": lambda way: (1 + jnp.cos(jnp.pi * way)) / 2}


def adam(
    *, images_per_update, learning_rate, b1, b2, decay=0.0, warmup_images=0, anneal="none", anneal_images=0, final=0.0
):
    """Adam (Kingma & Ba 2015, arXiv 1412.6980)."""
    rate = _scheduled(_decayed(learning_rate, decay), images_per_update, warmup_images, anneal, anneal_images, final)
    return optax.adam(rate, b1=b1, b2=b2)


def rmsprop(*, images_per_update, learning_rate, decay=0.0, warmup_images=0, anneal="none", anneal_images=0, final=0.0):
    """RMSprop as Keras has it: rho 0.9, accumulator from 0, epsilon outside the root."""
    return _rmsprop(
        _scheduled(_decayed(learning_rate, decay), images_per_update, warmup_images, anneal, anneal_images, final)
    )


def rmsprop_by_turns(*, learning_rate, second_learning_rate, decay=0.0, second_decay=0.0):
    """Two RMSprops by turns, each with an accumulator, a rate and a count of updates of its own.

    For the walkthrough's DCGAN of 2018, whose discriminator moves in the generator's turn, too: the first is that of
    its own turns, the second that of the generator's.
    """
    both = _rmsprop(_decayed(learning_rate, decay)), _rmsprop(_decayed(second_learning_rate, second_decay))

    def init(params):
        return Turns(jnp.zeros((), jnp.int32), *(one.init(params) for one in both))

    def update(updates, state, params=None):
        (one, first), (other, second) = (
            each.update(updates, kept, params) for each, kept in zip(both, state[1:], strict=True)
        )
        is_first = state.count % 2 == 0
        either = lambda yes, no: jax.tree.map(lambda a, b: jnp.where(is_first, a, b), yes, no)
        return either(one, other), Turns(state.count + 1, either(first, state.first), either(state.second, second))

    return optax.GradientTransformation(init, update)


class Turns(NamedTuple):
    """Updates so far, int32[], and the states of the two optimisers that take turns."""

    count: jax.Array
    first: Any
    second: Any


def sgd(*, images_per_update, learning_rate, warmup_images=0, anneal="none", anneal_images=0, final=0.0):
    """Plain gradient descent: linear in the gradient, so tests can hold device counts against each other."""
    return optax.sgd(_scheduled(learning_rate, images_per_update, warmup_images, anneal, anneal_images, final))


OPTIMIZERS = {"adam": adam, "rmsprop": rmsprop, "rmsprop_by_turns": rmsprop_by_turns, "sgd": sgd}


def _rmsprop(rate):
    return optax.rmsprop(rate, decay=0.9, eps=1e-7, initial_scale=0.0, eps_in_sqrt=False)


def _decayed(learning_rate, decay):
    # Keras 2's time-based schedule; a decay of 0 is a constant rate.
    return lambda count: learning_rate / (1.0 + decay * count)


def _scheduled(
    rate: float | Callable[[Any], Any],
    images_per_update: float,
    warmup_images: float,
    anneal: str,
    anneal_images: float,
    final: float,
) -> float | Callable[[Any], Any]:
    """The rate, a number or a function of the updates so far, as a schedule of warm-up and annealing has it."""
    if anneal not in ("none", *ANNEALS):
        raise UserError(f"config.optimizer.*.anneal is {anneal!r}: it should be one of none, {', '.join(ANNEALS)}")
    if anneal != "none" and anneal_images <= warmup_images:
        raise UserError(
            f"config.optimizer.*.anneal_images is {anneal_images}: with anneal={anneal!r} it should be the images at "
            f"which the rate stops falling, such as train.steps x train.batch_size, above warmup_images "
            f"({warmup_images})"
        )
    if anneal == "none" and anneal_images:
        raise UserError(
            f"config.optimizer.*.anneal_images is {anneal_images}, but anneal is 'none': name linear or cosine"
        )
    if anneal == "none" and not warmup_images:
        return rate

    def schedule(count):
        images = count * jnp.float32(images_per_update)
        share = jnp.minimum(images / warmup_images, 1.0) if warmup_images else 1.0
        if anneal != "none":
            way = jnp.clip((images - warmup_images) / (anneal_images - warmup_images), 0.0, 1.0)
            share *= final + (1 - final) * ANNEALS[anneal](way)
        return share * (rate(count) if callable(rate) else rate)

    return schedule
