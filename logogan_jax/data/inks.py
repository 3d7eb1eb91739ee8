"""Inks: the one flat colour of each image, on white or on a transparent ground."""

from collections.abc import Sequence

import numpy as np

from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import Subset

MAX_IMAGES = 512  # whose inks are kept: the first ones, which are a random sample
NEAR = 0.98  # of the largest distance from white in an image: pixels that lie wholly in the ink


def dataset_inks(images: Subset) -> tuple[str, ...]:
    """Return the inks of a data set, such as "#ff8800".

    Raises:
        UserError: No image shows anything.
    """
    found = image_inks(images.pixels(MAX_IMAGES))
    if not len(found):
        raise UserError("config.mark.colours is 'data', but no image shows anything: look at the images")
    return tuple(f"#{bytes(ink).hex()}" for ink in found)


def image_inks(pixels: np.ndarray) -> np.ndarray:
    """Return the ink of each image that shows something: uint8[n, H, W, 1|3|4] -> uint8[m, 1|3].

    With alpha it is the mean colour, weighted by alpha. Without, it is the mean of the pixels farthest from white.
    """
    values = pixels.reshape(len(pixels), -1, pixels.shape[-1]).astype(np.float64)
    if pixels.shape[-1] == 4:
        weight = values[..., 3]
        values = values[..., :3]
    else:
        distance = np.linalg.norm(255 - values, axis=2)
        largest = distance.max(axis=1, keepdims=True)
        weight = (distance >= NEAR * largest) & (largest > 0)
    shows = weight.sum(axis=1) > 0
    sums = (values * weight[..., None]).sum(axis=1)[shows]
    return np.round(sums / weight.sum(axis=1)[shows, None]).astype(np.uint8)


def to_table(inks: Sequence[str]) -> np.ndarray:
    """Return inks as float32[MAX_IMAGES, 1|3] in [0, 1], repeated where there are fewer.

    So the shapes of a generator do not depend on the number of images.
    """
    rows = np.array([list(bytes.fromhex(ink.removeprefix("#"))) for ink in inks], np.float32) / 255
    return np.resize(rows, (MAX_IMAGES, rows.shape[1]))
