"""How much can be seen on a picture."""

import shlex

import numpy as np
from PIL import Image

from data_prep.pictures import modes

EMPTY_INK = 0.005  # ink below which nothing can be seen


def measure_ink(square: np.ndarray) -> float:
    """Return the mean distance of the pixels of uint8[H, W, C] from their median colour, from 0 to 1."""
    values = square.astype(np.int16)
    distances = np.abs(values - np.median(values, axis=(0, 1)))
    return float(distances.max(-1).mean() / 255)


def is_blank(image: Image.Image) -> bool:
    """Return whether almost nothing can be seen on a picture that is grey, RGB or RGBA, laid on its background."""
    if image.mode == "RGBA":
        image = modes.composite(modes.choose_background(image), image)
    pixels = np.asarray(image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    # The ink of one channel is never more than that of all, and much faster to measure.
    return _channel_ink(pixels[..., 0]) < EMPTY_INK and measure_ink(pixels) < EMPTY_INK


def _channel_ink(channel: np.ndarray) -> float:
    counts = np.bincount(channel.ravel(), minlength=256)
    median = np.searchsorted(counts.cumsum(), channel.size / 2)
    return float((np.abs(np.arange(256) - median) * counts).sum() / channel.size / 255)


def describe(blank: int, words: int, path: object) -> str:
    """Sentences, each after a space, on how many pictures are blank or have words; `path` is where they can be seen."""
    shown = f"python -m data_prep.inspect_data --path={shlex.quote(str(path))}"
    blanks = f" {blank} of them {'is' if blank == 1 else 'are'} blank (shown by {shown})." if blank else ""
    return blanks + (f" The words of {words} are drawn in the bundled font." if words else "")
