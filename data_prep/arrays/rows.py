"""Images that are stored as rows of numbers, one row for each."""

import math
import pathlib
import re
from typing import Any

import numpy as np

from logogan_jax.core.errors import UserError

_CHANNELS = (1, 3, 4)


class Rows:
    """An array [n, numbers] seen as images [n, *shape]; parts of it are read when they are sliced."""

    def __init__(self, rows: Any, shape: tuple[int, ...]):
        self._rows = rows
        self.shape = (len(rows), *shape)
        self.dtype: np.dtype = rows.dtype
        self.size: int = rows.size

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        return np.asarray(self._rows[part]).reshape(-1, *self.shape[1:])


def with_shape(path: pathlib.Path, images: Any, text: str | None) -> Any:
    """Return images whose rows have the shape that --shape gives, such as 28x28 or 3x32x32.

    Raises:
        UserError: if they are rows and no shape is given, or if the shape does not fit.
    """
    if not text:
        if len(images.shape) == 2:
            numbers = images.shape[1]
            raise UserError(f"{path} holds rows of {numbers:,} numbers: say which sides, {_suggest(numbers)}")
        return images
    if not re.fullmatch(r"\d{1,6}([x,]\d{1,6}){1,2}", text):
        raise UserError(f"--shape={text} should be HEIGHTxWIDTH, HEIGHTxWIDTHxCHANNELS or CHANNELSxHEIGHTxWIDTH")
    shape = tuple(int(side) for side in re.split("[x,]", text))
    if len(images.shape) != 2 or math.prod(shape) != images.shape[1]:
        raise UserError(
            f"--shape={text} is for rows of {math.prod(shape):,} numbers, but {path} holds an array of the shape "
            f"{tuple(images.shape)}"
        )
    return Rows(images, shape)


def _suggest(numbers: int) -> str:
    """The flags for rows of this many numbers, if the images are squares."""
    shapes = []
    for channels in _CHANNELS:
        side = math.isqrt(numbers // channels)
        if side * side * channels == numbers and side:
            shapes += (
                [f"{side}x{side}"] if channels == 1 else [f"{side}x{side}x{channels}", f"{channels}x{side}x{side}"]
            )
    return "as " + " or ".join(f"--shape={shape}" for shape in shapes or ["HEIGHTxWIDTHxCHANNELS"])
