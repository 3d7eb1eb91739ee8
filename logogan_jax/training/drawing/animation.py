"""Pictures one after another: an animated GIF, an animated WebP, and a contact sheet."""

import pathlib

import numpy as np
from PIL import Image

from logogan_jax.core import files, images

SHEET = 64  # frames on the contact sheet, at most
_MILLISECONDS = 60  # of a frame


def write(folder: pathlib.Path, frames: np.ndarray) -> None:
    """Write animation.webp, animation.gif and sheet.png of frames uint8[n, H, W, C].

    WebP is lossless and has alpha. GIF has neither soft alpha nor more than 256 colours, so its frames lie on white.
    """
    opaque = images.on_white(frames)
    for name, format_, pixels, options in (
        ("animation.webp", "WEBP", frames, {"lossless": True}),
        # Every frame is whole: one that is drawn over another would keep parts of it.
        ("animation.gif", "GIF", opaque, {"disposal": 2, "optimize": False}),
    ):
        pictures = [_to_pillow(frame) for frame in pixels]
        with files.atomic_write(folder / name) as partial:
            pictures[0].save(
                partial, format=format_, save_all=True, append_images=pictures[1:], duration=_MILLISECONDS, loop=0,
                **options,
            )  # fmt: skip
    images.write_image_grid(folder / "sheet.png", opaque[shown(len(frames))])


def shown(count: int) -> np.ndarray:
    """Return which of a number of frames are on the contact sheet: the first, the last, and some evenly between."""
    return np.unique(np.linspace(0, count - 1, min(count, SHEET)).round().astype(int))


def _to_pillow(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
