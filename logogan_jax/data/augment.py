"""Data augmentation of real images on the device: (keys, images) -> images, in [-1, 1]."""

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.core.images import background
from logogan_jax.distributed import data_parallel

CORNERS = ("white", "edge")  # what a turn brings in: the background, transparent for RGBA, or the border repeated


def flip(row_keys, images):
    """Mirror each image left to right with probability 1/2: key[b], float32[b, H, W, C]."""
    mirrored = prng.uniform(row_keys) < 0.5
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def rotate(row_keys, images, degrees, corners="white"):
    """Turn each image by a uniform angle in [-degrees, degrees], bilinear, with `corners` of CORNERS."""
    angle = prng.uniform(row_keys, low=-degrees, high=degrees) * (jnp.pi / 180)
    return jax.vmap(lambda image, angle: _turn(image, angle, corners))(images, angle)


def _turn(image, angle, corners="white"):
    height, width, channels = image.shape
    y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    # Each pixel of the result looks back along the opposite turn.
    from_y = cos * y - sin * x + (height - 1) / 2
    from_x = sin * y + cos * x + (width - 1) / 2
    top, left = jnp.floor(from_y), jnp.floor(from_x)
    down, right = (from_y - top)[..., None], (from_x - left)[..., None]

    def tap(row, column):
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        rows = jnp.clip(row, 0, height - 1).astype(jnp.int32)
        columns = jnp.clip(column, 0, width - 1).astype(jnp.int32)
        found = image[rows, columns]
        return jnp.where(inside[..., None], found, background(channels)) if corners == "white" else found

    above = tap(top, left) * (1 - right) + tap(top, left + 1) * right
    below = tap(top + 1, left) * (1 - right) + tap(top + 1, left + 1) * right
    return above * (1 - down) + below * down


def pipeline(*, rotate_degrees, mirror, corners="white", frozen=False):
    """The augmentation of a run: degrees >= 0 (0 is off) and a switch -> function of (key[b], images).

    `frozen` gives each row of the global batch the same turn at every update, in a mapped program: with it and
    corners="edge", a batch that is seen again and again is that of the walkthrough's scripts of 2018.
    """
    if corners not in CORNERS:
        raise UserError(f"config.data.corners is {corners!r}: it should be one of {', '.join(CORNERS)}")

    def augment(row_keys, images):
        if frozen:
            row_keys = prng.per_example_keys(jax.random.key(0), data_parallel.replica_rows(len(images)))
        turn, side = prng.split(row_keys, 2)
        if rotate_degrees:
            images = rotate(turn, images, rotate_degrees, corners)
        return flip(side, images) if mirror else images

    return augment
