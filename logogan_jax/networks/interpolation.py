"""Bilinear interpolation between the centres of pixels."""

import functools

import jax
import jax.numpy as jnp
from jax import lax


def points_along(x: jax.Array, axis: int, count: int) -> list[jax.Array]:
    """Interpolate at `count` evenly spaced points in each pixel along an axis, edges repeated.

    Returns:
        `count` arrays like x, from the first point of every pixel to the last.
    """
    side = x.shape[axis]
    part = functools.partial(lax.slice_in_dim, x, axis=axis)
    before = jnp.concatenate([part(0, 1), part(0, side - 1)], axis)
    after = jnp.concatenate([part(1, side), part(side - 1, side)], axis)
    offsets = [(number + 0.5) / count - 0.5 for number in range(count)]  # from the centre of the pixel, in pixels
    return [(1 - abs(offset)) * x + abs(offset) * (before if offset < 0 else after) for offset in offsets]
