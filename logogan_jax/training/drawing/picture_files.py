"""The folder that the sample command writes: a file for each picture, a sheet of many, and the list of them."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from logogan_jax.core import files, images

SHEET = 100  # pictures on a sheet, at most


def write_pictures(folder: pathlib.Path, names: Sequence[str], pixels: np.ndarray) -> None:
    """Write pictures uint8[n, H, W, C] under names without their ending, and one grid of the first hundred."""
    for name, picture in zip(names, pixels, strict=True):
        images.write_png(folder / f"{name}.png", picture)
    images.write_image_grid(folder / "grid.png", pixels[:SHEET])


def write_pairs(path: pathlib.Path, first: np.ndarray, second: np.ndarray) -> None:
    """Write one sheet of the first fifty pairs of images uint8[n, H, W, C], each beside the other."""
    pairs = np.stack([first, second], axis=1)[: SHEET // 2]
    images.write_image_grid(path, pairs.reshape(-1, *first.shape[1:]), columns=10)


def write_list(folder: pathlib.Path, rows: Sequence[dict[str, Any]], **facts: Any) -> None:
    """Write pictures.json: what is common to all pictures, and a row for each."""
    files.write_json(folder / "pictures.json", {**facts, "pictures": list(rows)})
