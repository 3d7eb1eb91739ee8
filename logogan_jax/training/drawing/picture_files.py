"""The folder that the sample command writes: a file for each picture, a sheet of many, and the list of them."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from logogan_jax.core import files, images

RED = (220, 0, 0)
SHEET = 100  # pictures on a sheet, at most


def write_pictures(folder: pathlib.Path, names: Sequence[str], pixels: np.ndarray, kind: str = "png") -> None:
    """Write pictures uint8[n, H, W, C] as "png" or lossless "webp" files under names without their ending."""
    for name, picture in zip(names, pixels, strict=True):
        if kind == "png":
            images.write_png(folder / f"{name}.png", picture)
            continue
        image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        with files.atomic_write(folder / f"{name}.webp") as partial:
            # Exact, or WebP would drop the colours below transparent points.
            image.save(partial, format="WEBP", lossless=True, exact=True)


def write_grid(folder: pathlib.Path, pixels: np.ndarray) -> None:
    """Write one sheet of the first hundred pictures uint8[n, H, W, C], laid on white."""
    images.write_image_grid(folder / "grid.png", pixels[:SHEET])


def write_nearest(
    folder: pathlib.Path, names: Sequence[str], pixels: np.ndarray, nearest: np.ndarray, copied: np.ndarray
) -> None:
    """Write what is nearest to each picture as NAME-nearest.png, and a sheet of both, where copies have a red frame."""
    write_pictures(folder, [f"{name}-nearest" for name in names], nearest)
    framed = [
        # Grey pictures become RGB: a grey frame would not be red.
        np.broadcast_to(images.on_white(images_), (*images_.shape[:3], 3)).copy()
        for images_ in (pixels, nearest)
    ]
    for shown in framed:
        for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
            shown[edge] = np.where(copied[:, None, None], RED, shown[edge])
    write_pairs(folder / "nearest.png", *framed)


def write_pairs(path: pathlib.Path, first: np.ndarray, second: np.ndarray) -> None:
    """Write one sheet of the first fifty pairs of images uint8[n, H, W, C], each beside the other."""
    pairs = np.stack([first, second], axis=1)[: SHEET // 2]
    images.write_image_grid(path, pairs.reshape(-1, *first.shape[1:]), columns=10)


def write_list(folder: pathlib.Path, rows: Sequence[dict[str, Any]], **facts: Any) -> None:
    """Write pictures.json: what is common to all pictures, and a row for each."""
    files.write_json(folder / "pictures.json", {**facts, "pictures": list(rows)})
