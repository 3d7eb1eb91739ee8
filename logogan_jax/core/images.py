"""The border between pixels and floats, and pictures of many images.

One channel is grey, three are RGB, four are RGBA: straight alpha in pixels and files; premultiplied among floats,
where r*a, g*a, b*a and a are scaled to [-1, 1], so that what cannot be seen has one value and mixing is linear.
"""

import math

import jax.numpy as jnp
import numpy as np
from PIL import Image

from logogan_jax.core import files


def background(channels):
    """What lies outside an image, as a float: white, or transparent where there is alpha."""
    return -1.0 if channels == 4 else 1.0


def to_float(pixels):
    """uint8 [0, 255] -> float32 [-1, 1]: [..., C], or any shape of which the last side is not 4."""
    values = pixels.astype(jnp.float32)
    if pixels.shape[-1:] == (4,):
        alpha = values[..., 3:]
        values = jnp.concatenate([values[..., :3] * (alpha / 255), alpha], -1)
    return values / 127.5 - 1.0


def to_uint8(images):
    """float [-1, 1] -> uint8 [0, 255], rounded and clipped: [..., C], as to_float. No alpha, no colour: black."""
    values = (images.astype(jnp.float32) + 1.0) * 127.5
    if images.shape[-1:] == (4,):
        alpha = jnp.clip(jnp.round(values[..., 3:]), 0, 255)
        colour = jnp.where(alpha > 0, values[..., :3] * (255 / jnp.maximum(alpha, 1)), 0)
        values = jnp.concatenate([colour, alpha], -1)
    return jnp.clip(jnp.round(values), 0, 255).astype(jnp.uint8)


def on_white(pixels):
    """uint8[..., 1|3|4] -> uint8[..., 1|3]: RGBA laid on white, the others as they are; numpy's and jax's arrays."""
    if pixels.shape[-1] != 4:
        return pixels
    wide = pixels.astype(np.uint16)  # 255 * 255 fits
    colour, alpha = wide[..., :3], wide[..., 3:]
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def make_grid(pixels, columns, gap=2):
    """Lay uint8[n, H, W, 1|3|4] out in rows of `columns` on white -> uint8[rows*(H+gap)+gap, ..., 1|3]."""
    pixels = on_white(np.asarray(pixels))
    n, height, width, channels = pixels.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = image
    return sheet


def grid_columns(count, size):
    """How many columns make the sheet of `count` images of a size (height, width) nearly square."""
    return math.ceil(math.sqrt(count * size[0] / size[1]))


def display_scale(size):
    """By how much an image of a size (height, width) is enlarged so that it can be judged."""
    return max(1, 112 // max(size))


def write_png(path, pixels, scale=1):
    """Write uint8[H, W, 1|3|4] as a PNG, whole or not at all; `scale` repeats pixels for small images."""
    pixels = np.asarray(pixels).repeat(scale, 0).repeat(scale, 1)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    with files.atomic_write(path) as partial:
        image.save(partial, format="PNG")


def write_image_grid(path, pixels, columns=None):
    """Write uint8[n, H, W, 1|3|4] as one sheet, near-square by default, enlarged so that small images can be judged."""
    size = pixels.shape[1:3]
    write_png(path, make_grid(pixels, columns=columns or grid_columns(len(pixels), size)), scale=display_scale(size))
