"""Inks: the one flat colour of each image, on white or on a transparent ground."""

from collections.abc import Sequence

import numpy as np

from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import Subset

MAX_IMAGES = 512  # whose inks are kept: the first ones, which are a random sample
TOLERANCE = 0.05  # mean distance of visible pixels from a mark in one ink, of the largest, up to which it is one
MOST = 0.8  # share of such images from which a data set suits marks in one ink
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


def one_ink_residuals(pixels: np.ndarray) -> np.ndarray:
    """Return how far each image that shows something is from its ink on its ground: float[m] from 0 to 1.

    The mean is over the pixels that show something, and 1 is the distance from black to white.
    """
    visible = np.array([len(image_inks(picture[None])) for picture in pixels], bool)
    height, width, channels = pixels.shape[1:]
    shown = pixels[visible].reshape(-1, height * width, channels).astype(np.float64)
    ink = image_inks(pixels)[:, None].astype(np.float64)
    if channels == 4:
        weight = shown[..., 3] / 255
        distance = np.linalg.norm(shown[..., :3] - ink, axis=2) * weight
        shows = weight > 0
    else:
        below_white = 255 - shown
        direction = 255 - ink
        share = np.clip((below_white * direction).sum(2) / (direction**2).sum(2), 0, 1)
        distance = np.linalg.norm(below_white - share[..., None] * direction, axis=2)
        shows = below_white.max(axis=2) > 8  # grey levels: what noise leaves of white shows nothing
    whole = 255 * np.sqrt(ink.shape[-1])
    return (distance * shows).sum(axis=1) / np.maximum(shows.sum(axis=1), 1) / whole


def one_ink_share(images: Subset) -> float:
    """Return the share of a data set's images that are a mark in one ink on its ground."""
    residuals = one_ink_residuals(images.pixels(MAX_IMAGES))
    return float((residuals <= TOLERANCE).mean()) if len(residuals) else 0.0


def to_table(inks: Sequence[str]) -> np.ndarray:
    """Return inks as float32[MAX_IMAGES, 1|3] in [0, 1], repeated where there are fewer.

    So the shapes of a generator do not depend on the number of images.
    """
    rows = np.array([list(bytes.fromhex(ink.removeprefix("#"))) for ink in inks], np.float32) / 255
    return np.resize(rows, (MAX_IMAGES, rows.shape[1]))
