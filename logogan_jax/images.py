"""The border between pixels and floats, and pictures of many images."""

import jax.numpy as jnp
import numpy as np
from PIL import Image

from logogan_jax import files


def to_float(pixels):
    """uint8 [0, 255] -> float32 [-1, 1], any shape."""
    return pixels.astype(jnp.float32) / 127.5 - 1.0


def to_uint8(images):
    """float [-1, 1] -> uint8 [0, 255], rounded and clipped, any shape."""
    return jnp.clip(jnp.round((images.astype(jnp.float32) + 1.0) * 127.5), 0, 255).astype(jnp.uint8)


def tile(pixels, columns, gap=2):
    """Lay uint8[n, H, W, C] out in rows of `columns` on white -> uint8[rows*(H+gap)+gap, ..., C]."""
    n, height, width, channels = pixels.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = image
    return sheet


def write_png(path, pixels, scale=1):
    """Write uint8[H, W, 1|3|4] as a PNG, whole or not at all; `scale` repeats pixels for small images."""
    pixels = np.asarray(pixels).repeat(scale, 0).repeat(scale, 1)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    with files.whole(path) as partial:
        image.save(partial, format="PNG")


def write_sheet(path, pixels):
    """Write uint8[n, H, W, C] as one near-square sheet, enlarged so that small images can be judged."""
    scale = max(1, 112 // pixels.shape[1])
    write_png(path, tile(pixels, columns=int(np.ceil(np.sqrt(len(pixels))))), scale=scale)
