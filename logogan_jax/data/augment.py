"""Data augmentation of real images on the device: (keys, images) -> images, in [-1, 1]."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.core.images import background
from logogan_jax.distributed import data_parallel

# What a rotation shows outside the image: the background (transparent for RGBA), or the nearest pixel of the border.
CORNERS = ("white", "edge")


def flip(keys: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror each image left to right with probability 1/2: key[b], float32[b, H, W, C] -> float32[b, H, W, C]."""
    mirrored = prng.uniform(keys) < 0.5
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def rotate(keys: jax.Array, images: jax.Array, degrees: float, corners: str = "white") -> jax.Array:
    """Rotate each image by a uniform angle in [-degrees, degrees], with bilinear interpolation.

    key[b], float32[b, H, W, C] -> float32[b, H, W, C]; `corners` is one of CORNERS.
    """
    angles = prng.uniform(keys, low=-degrees, high=degrees) * (jnp.pi / 180)
    return jax.vmap(lambda image, angle: rotate_by(image, angle, corners))(images, angles)


def rotate_by(image: jax.Array, angle: jax.Array, corners: str = "white") -> jax.Array:
    """Rotate one image by an angle in radians: float32[H, W, C], float32[] -> float32[H, W, C]."""
    height, width, channels = image.shape
    y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
    cos = jnp.cos(angle)
    sin = jnp.sin(angle)
    # The inverse rotation says where in the image each pixel of the result comes from.
    source_y = cos * y - sin * x + (height - 1) / 2
    source_x = sin * y + cos * x + (width - 1) / 2
    top = jnp.floor(source_y)
    left = jnp.floor(source_x)
    down = (source_y - top)[..., None]  # weights of the lower and the right neighbour
    right = (source_x - left)[..., None]

    def pixel(row: jax.Array, column: jax.Array) -> jax.Array:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        rows = jnp.clip(row, 0, height - 1).astype(jnp.int32)
        columns = jnp.clip(column, 0, width - 1).astype(jnp.int32)
        nearest = image[rows, columns]
        return jnp.where(inside[..., None], nearest, background(channels)) if corners == "white" else nearest

    above = pixel(top, left) * (1 - right) + pixel(top, left + 1) * right
    below = pixel(top + 1, left) * (1 - right) + pixel(top + 1, left + 1) * right
    return above * (1 - down) + below * down


def pipeline(
    *, rotate_degrees: float, mirror: bool, corners: str = "white", frozen: bool = False
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Build the augmentation of a run, a function of (key[b], images): rotation, then mirroring, if they are on.

    rotate_degrees=0 turns rotation off. With `frozen`, which works in a mapped program only, each row of the global
    batch is augmented alike in every update. So where one batch serves many steps, and corners="edge", training is
    that of the walkthrough's scripts of 2018.

    Raises:
        UserError: if `corners` is none of CORNERS.
    """
    if corners not in CORNERS:
        raise UserError(f"config.data.corners is {corners!r}: it should be one of {', '.join(CORNERS)}")

    def augment(keys: jax.Array, images: jax.Array) -> jax.Array:
        if frozen:
            keys = prng.per_example_keys(jax.random.key(0), data_parallel.replica_rows(len(images)))
        rotate_keys, flip_keys = prng.split(keys, 2)
        if rotate_degrees:
            images = rotate(rotate_keys, images, rotate_degrees, corners)
        return flip(flip_keys, images) if mirror else images

    return augment
