"""What the numbers of an array of images mean: their layout and their range."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from data_prep.arrays.array_files import ImageArrays
from logogan_jax.core.errors import UserError

RANGES = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1)}
_TOLERANCE = 0.002  # part of a range by which rounding can leave it
_DARK = 16  # a greatest number between 1 and this can be of very dark images of 0..255, or of something else
_BLOCK_BYTES = 16 << 20  # that are read at once
_CHANNELS = (1, 3, 4)


class ArrayFile(NamedTuple):
    """The images of one file, and what their numbers mean.

    `layout` is "nhwc", "nchw" or "nhw", `range` a key of RANGES. `prefix` begins the names of the PNGs. The labels
    have at most `label_digits` digits.
    """

    path: pathlib.Path
    contents: ImageArrays
    layout: str
    range: str
    prefix: str = ""
    label_digits: int = 0

    def __str__(self) -> str:
        low, high = RANGES[self.range]
        count, *shape = self.contents.images.shape
        sides = " x ".join(map(str, shape))
        numbers = f"{self.contents.images.dtype} from {low} to {high}"
        return f"{self.path}: {count:,} images, each {sides} ({self.layout}), {numbers}"


def interpret(path: pathlib.Path, contents: ImageArrays, layout: str, range: str, prefix: str = "") -> ArrayFile:
    """Return the contents of a file with their layout and range.

    `layout` and `range` are the user's, or "auto". Raises UserError if the numbers do not fit them, or do not show
    what they mean.
    """
    images = contents.images
    if images.dtype.kind not in "biuf" or not images.size:
        raise UserError(f"{path} holds {images.dtype} values of the shape {images.shape}, not images of numbers")
    for flag, values in (("labels", contents.labels), ("names", contents.names), ("shapes", contents.shapes)):
        if values is not None and len(values) != len(images):
            raise UserError(f"{path} has {len(values)} {flag} for {len(images)} images")
    if contents.labels is not None and (contents.labels.dtype.kind not in "iu" or contents.labels.ndim != 1):
        kind = f"{contents.labels.dtype} of the shape {contents.labels.shape}"
        raise UserError(f"--labels: they should be one whole number for each image, but {path} has {kind}")
    layout = _choose_layout(path, images.shape, layout)
    label_digits = 0 if contents.labels is None else len(str(contents.labels.max()))
    return ArrayFile(path, contents, layout, _choose_range(path, images, range), prefix, label_digits)


def split_into_blocks(images: Any) -> list[tuple[int, int]]:
    """Return (start, stop) of parts of an array of about _BLOCK_BYTES bytes each."""
    step = max(1, _BLOCK_BYTES // max(images[:1].nbytes, 1))
    return [(start, min(start + step, len(images))) for start in range(0, len(images), step)]


def to_uint8(image: np.ndarray, array: ArrayFile) -> np.ndarray:
    """Return one image, as it is stored, as uint8[H, W, channels]."""
    if array.layout == "nchw":
        image = np.moveaxis(image, 0, -1)
    if image.dtype != np.uint8:
        low, high = RANGES[array.range]
        image = ((image.astype(np.float64) - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(image if image.ndim == 3 else image[..., None])


def crop(pixels: np.ndarray, shapes: Any, number: int) -> tuple[np.ndarray | None, str]:
    """Cut off the padding that brought all images to one size.

    Returns:
        The pixels and "", or None and the reason why the shape of this image is wrong.
    """
    if shapes is None:
        return pixels, ""
    _, height, width = (int(side) for side in shapes[number])
    if not (0 < height <= pixels.shape[0] and 0 < width <= pixels.shape[1]):
        return None, f"its shape is given as {height} x {width}"
    return pixels[:height, :width], ""


def _choose_layout(path: pathlib.Path, shape: tuple[int, ...], layout: str) -> str:
    """Return the user's layout, or the only one in which the shape has 1, 3 or 4 channels."""
    fitting = [name for name, axis in (("nhwc", -1), ("nchw", 1)) if len(shape) > 1 and shape[axis] in _CHANNELS]
    if len(shape) == 3 and layout == "auto" and not fitting:
        return "nhw"
    held = f"{path} holds an array of the shape {tuple(shape)}"
    if len(shape) != 4 or not fitting or (layout != "auto" and layout not in fitting):
        requested = "" if layout == "auto" else f" in the layout {layout}"
        raise UserError(f"{held}{requested}: it should have 4 dimensions, one of them 1, 3 or 4 channels")
    if layout == "auto" and len(fitting) > 1:
        raise UserError(f"{held}: say which are the channels with --layout=nhwc or --layout=nchw")
    return fitting[0] if layout == "auto" else layout


def _choose_range(path: pathlib.Path, images: Any, requested: str) -> str:
    """Return the user's range, if no number is outside of it, or else the one that the numbers show."""
    if images.dtype == np.uint8:
        if requested not in ("auto", "0..255"):
            raise UserError(f"--range={requested}, but {path} holds uint8, which is from 0 to 255: leave the flag out")
        return "0..255"
    low, high = _find_extremes(path, images)
    held = f"{path} holds numbers from {low:g} to {high:g}"
    if requested != "auto":
        if not _fits(low, high, requested):
            raise UserError(f"{held}, which are not in --range={requested}: choose another, or scale them")
        return requested
    for name in ("0..1", "-1..1"):
        if _fits(low, high, name):
            return name
    if not _fits(low, high, "0..255") or high < _DARK:
        raise UserError(f"{held}: say what is black and what is white with --range={', '.join(RANGES)}, or scale them")
    return "0..255"


def _fits(low: float, high: float, name: str) -> bool:
    """Return whether numbers from `low` to `high` are in a range."""
    black, white = RANGES[name]
    tolerance = _TOLERANCE * (white - black)
    return black - tolerance <= low and high <= white + tolerance


def _find_extremes(path: pathlib.Path, images: Any) -> tuple[float, float]:
    """Return the least and the greatest number; UserError if one is NaN or infinite."""
    low, high = np.inf, -np.inf
    for start, stop in split_into_blocks(images):
        block = np.asarray(images[start:stop], np.float64).reshape(stop - start, -1)
        finite = np.isfinite(block).all(1)
        if not finite.all():
            number = start + int(finite.argmin())
            raise UserError(f"{path}: image {number} holds values that are no numbers (NaN or infinite): remove it")
        low, high = min(low, block.min()), max(high, block.max())
    return low, high
