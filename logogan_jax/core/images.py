"""The border between pixels and floats, and grids of many images.

One channel is grey, three are RGB, four are RGBA: straight alpha in pixels and files; premultiplied among floats,
where r*a, g*a, b*a and a are scaled to [-1, 1], so that what cannot be seen has one value and mixing is linear.
"""

import math
import os
from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from logogan_jax.core import files

Pixels = TypeVar("Pixels", jax.Array, np.ndarray)


def background(channels: int) -> float:
    """Return the value of what lies outside an image, as a float: white, or transparent where there is alpha."""
    return -1.0 if channels == 4 else 1.0


def to_float(pixels: jax.Array | np.ndarray) -> jax.Array:
    """Convert uint8 in [0, 255] to float32 in [-1, 1]: [..., C], or any shape of which the last side is not 4."""
    values = pixels.astype(jnp.float32)
    if pixels.shape[-1:] == (4,):
        alpha = values[..., 3:]
        values = jnp.concatenate([values[..., :3] * (alpha / 255), alpha], -1)
    return values / 127.5 - 1.0  # pyright: ignore[reportReturnType] - NumPy's pixels give NumPy's floats


def to_uint8(images: jax.Array) -> jax.Array:
    """Convert floats in [-1, 1] to uint8 in [0, 255], rounded and clipped, of the shapes that `to_float` takes.

    Where alpha is 0, colour is black.
    """
    values = (images.astype(jnp.float32) + 1.0) * 127.5
    if images.shape[-1:] == (4,):
        alpha = jnp.clip(jnp.round(values[..., 3:]), 0, 255)
        colour = jnp.where(alpha > 0, values[..., :3] * (255 / jnp.maximum(alpha, 1)), 0)
        values = jnp.concatenate([colour, alpha], -1)
    return jnp.clip(jnp.round(values), 0, 255).astype(jnp.uint8)


def on_white(pixels: Pixels) -> Pixels:
    """Lay RGBA on white: uint8[..., 1|3|4] -> uint8[..., 1|3], the array of NumPy or JAX that was given."""
    if pixels.shape[-1] != 4:
        return pixels
    wide = pixels.astype(np.uint16)  # 255 * 255 fits
    colour = wide[..., :3]
    alpha = wide[..., 3:]
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def enlarge(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge pictures by a Lanczos filter: uint8[n, H, W, 1|3|4] -> uint8[n, scale * H, scale * W, 1|3|4]."""
    height, width, channels = pixels.shape[1:]
    size = (scale * width, scale * height)
    resized = [
        # Pillow multiplies colours by alpha for the filter, so that nothing invisible bleeds into an edge.
        np.asarray(
            Image.fromarray(picture[..., 0] if channels == 1 else picture).resize(size, Image.Resampling.LANCZOS)
        )
        for picture in pixels
    ]
    return np.stack(resized).reshape(len(pixels), scale * height, scale * width, channels)


def make_grid(pixels: jax.Array | np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay images out in rows of `columns` on white: uint8[n, H, W, 1|3|4] -> uint8[rows*(H+gap)+gap, ..., 1|3]."""
    images = on_white(np.asarray(pixels))
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    grid = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for i, image in enumerate(images):
        top = (i // columns) * (height + gap) + gap
        left = (i % columns) * (width + gap) + gap
        grid[top : top + height, left : left + width] = image
    return grid


def grid_columns(count: int, size: Sequence[int]) -> int:
    """Return how many columns make the grid of `count` images of a size (height, width) nearly square."""
    return math.ceil(math.sqrt(count * size[0] / size[1]))


def display_scale(size: Sequence[int]) -> int:
    """Return by how much to enlarge an image of a size (height, width) so that a person can judge it."""
    return max(1, 112 // max(size))


def write_png(path: str | os.PathLike, pixels: jax.Array | np.ndarray, scale: int = 1) -> None:
    """Write uint8[H, W, 1|3|4] as a PNG, whole or not at all; `scale` repeats pixels of small images."""
    enlarged = np.asarray(pixels).repeat(scale, 0).repeat(scale, 1)
    image = Image.fromarray(enlarged[..., 0] if enlarged.shape[-1] == 1 else enlarged)
    with files.atomic_write(path) as partial:
        image.save(partial, format="PNG")


def write_image_grid(path: str | os.PathLike, pixels: Pixels, columns: int | None = None) -> None:
    """Write uint8[n, H, W, 1|3|4] as one PNG, nearly square by default, enlarged so that a person can judge it."""
    size = pixels.shape[1:3]
    grid = make_grid(pixels, columns=columns or grid_columns(len(pixels), size))
    write_png(path, grid, scale=display_scale(size))
