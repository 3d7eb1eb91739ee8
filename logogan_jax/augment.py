"""Data augmentation on the device: (keys, images) -> images, in [-1, 1] and white outside."""

import jax
import jax.numpy as jnp

from logogan_jax import keys

WHITE = 1.0


def flip(row_keys, images):
    """Mirror each image left to right with probability 1/2: key[b], float32[b, H, W, C]."""
    mirrored = keys.uniform(row_keys) < 0.5
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def rotate(row_keys, images, degrees):
    """Turn each image by a uniform angle in [-degrees, degrees], bilinear, corners filled white."""
    angle = keys.uniform(row_keys, low=-degrees, high=degrees) * (jnp.pi / 180)
    return jax.vmap(_turn)(images, angle)


def _turn(image, angle):
    height, width, _ = image.shape
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
        return jnp.where(inside[..., None], image[rows, columns], WHITE)

    above = tap(top, left) * (1 - right) + tap(top, left + 1) * right
    below = tap(top + 1, left) * (1 - right) + tap(top + 1, left + 1) * right
    return above * (1 - down) + below * down


def pipeline(*, rotate_degrees, mirror):
    """The augmentation of a run: degrees >= 0 (0 is off) and a switch -> function of (key[b], images)."""

    def augment(row_keys, images):
        turn, side = keys.split(row_keys, 2)
        if rotate_degrees:
            images = rotate(turn, images, rotate_degrees)
        return flip(side, images) if mirror else images

    return augment
