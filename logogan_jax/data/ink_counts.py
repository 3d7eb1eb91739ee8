"""How many flat inks explain a picture, and what of `config.mark` draws a data set's pictures."""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

# Mean distance of visible pixels from what 1, 2 and 3 inks explain, up to which they explain a picture. Each further
# ink explains some of any picture, so less may be left.
TOLERANCES = (0.05, 0.03, 0.02)
ENOUGH = 128  # images of a random order that tell their inks to a few per cent
MOST = 0.8  # share of a data set's pictures that its inks should explain
_FLAT = 0.2  # range of a pixel and its eight neighbours up to which it is no edge, so no mix of two inks
_VISIBLE = 8 / 255  # distance from white up to which noise shows nothing
_NOISE = 0.12  # the same as a share of the largest in the picture: JPEG spoils the white beside an edge
_MAX_POINTS = 1_024  # pixels of a picture that are looked at
_BINS = 12  # of each channel, to find the colour of which most is not explained
_WHOLE = 0.95  # of the largest distance from the ground in one direction: pixels that an ink covers whole
_REACH = 0.12  # distance from such a colour up to which pixels count as the same ink


def count_inks(picture: np.ndarray) -> int:
    """Return the least number of inks that explain a picture uint8[h, w, 1|3|4], from 1 to 4, where 4 is more than 3.

    It is 0 for a picture that shows nothing.
    """
    points = visible_points(picture)
    if not len(points.values):
        return 0
    inks = np.zeros((0, points.values.shape[1]), np.float32)
    for tolerance in TOLERANCES:
        inks = add_ink(points, inks)
        if residuals(points, inks).mean() <= tolerance:
            return len(inks)
    return len(TOLERANCES) + 1


def share(counts: Sequence[int], most: int) -> float:
    """Return which share of the pictures that show something have at most `most` inks, from what count_inks says."""
    shown = [count for count in counts if count]
    return sum(count <= most for count in shown) / max(len(shown), 1)


def choose_inks(counts: Sequence[int]) -> int:
    """Return the least number of inks that explains MOST of the pictures, or 0: config.mark.inks for such pictures."""
    return next((most for most in range(1, len(TOLERANCES) + 1) if share(counts, most) >= MOST), 0)


def describe(counts: Sequence[int]) -> str:
    """Return a line that says how many pictures are marks in few inks, and which config draws such pictures."""
    inks = choose_inks(counts)
    most = inks or len(TOLERANCES)
    colours = "one flat colour" if most == 1 else f"at most {most} flat colours"
    marks = f"{share(counts, most):.0%} of the images are marks in {colours}"
    if inks:
        return f"{marks}: --config.mark.inks={inks} draws such marks."
    return f"{marks}: --config.mark.inks=0 draws a colour for every pixel, as photographs and gradients need."


def tally(counts: Iterable[int]) -> dict[str, int]:
    """Return {number of inks in words: number of pictures}, for all numbers that count_inks can return."""
    found = collections.Counter(counts)
    names = ("none", *map(str, range(1, len(TOLERANCES) + 1)), f"more than {len(TOLERANCES)}")
    return {name: found[number] for number, name in enumerate(names)}


class Points(NamedTuple):
    """The pixels of a picture that show something.

    Attributes:
        values: float32[n, d], how far each lies from the ground, which is 0: below white, or premultiplied with alpha.
        flat: bool[n], whether a pixel is like all its neighbours. Others lie on an edge and may mix two inks.
    """

    values: np.ndarray
    flat: np.ndarray


def visible_points(picture: np.ndarray) -> Points:
    """Return the Points of a picture uint8[h, w, 1|3|4], at most _MAX_POINTS of them."""
    values = picture.astype(np.float32) / 255
    if picture.shape[-1] == 4:
        alpha = values[..., 3:]
        values = np.concatenate([values[..., :3] * alpha, alpha], -1)
        shows = alpha[..., 0] > 0
    else:
        values = 1 - values
        distance = values.max(-1)
        shows = distance > max(_VISIBLE, _NOISE * distance.max())
    flat = (_extreme(values, np.maximum) - _extreme(values, np.minimum)).max(-1) <= _FLAT
    places = np.flatnonzero(shows)
    places = places[:: -(-len(places) // _MAX_POINTS) or 1]
    return Points(values.reshape(-1, values.shape[-1])[places], flat.ravel()[places])


def _extreme(values: np.ndarray, function: np.ufunc) -> np.ndarray:
    """Return the maximum or minimum of each pixel and its neighbours, [h, w, d] -> [h, w, d]."""
    for axis in (0, 1):
        padded = np.pad(values, [(1, 1) if axis == a else (0, 0) for a in range(3)], mode="edge")
        count = values.shape[axis]
        shifted = [padded.take(range(start, start + count), axis) for start in range(3)]
        values = function(function(shifted[0], shifted[1]), shifted[2])
    return values


def residuals(points: Points, inks: np.ndarray) -> np.ndarray:
    """Return how far Points lie from the inks [k, d] and the ground: float[n] from 0 to 1, the way from black to white.

    A flat pixel should be an ink or ground. One on an edge may be any mix of two of them.
    """
    corners = np.concatenate([np.zeros((1, points.values.shape[1]), np.float32), inks])
    squares = np.stack([np.square(points.values - corner).sum(1) for corner in corners]).min(0)
    edges = points.values[~points.flat]
    mixed = squares[~points.flat]
    for i, one in enumerate(corners):
        for other in corners[i + 1 :]:
            way = other - one
            place = np.clip((edges - one) @ way / max(float(way @ way), 1e-9), 0, 1)
            mixed = np.minimum(mixed, np.square(edges - one - place[:, None] * way).sum(1))
    squares[~points.flat] = mixed
    return np.sqrt(squares / min(points.values.shape[1], 3))


def add_ink(points: Points, inks: np.ndarray) -> np.ndarray:
    """Return inks [k, d] and one more [k + 1, d], that which explains most of what they leave of the Points."""
    dimensions = points.values.shape[1]
    cells = np.minimum((points.values * _BINS).astype(np.int64), _BINS - 1) @ (_BINS ** np.arange(dimensions))
    weights = np.square(residuals(points, inks))
    of_cell = points.values[cells == np.bincount(cells, weights).argmax()]
    found = _median_near(points.values, np.median(of_cell, axis=0))
    added = [np.concatenate([inks, ink[None]]) for ink in (found, _outermost(points.values, found))]
    return min(added, key=lambda inks: residuals(points, inks).mean())


def _median_near(values: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Return the median of the values [n, d] near an ink [d], or the ink where there are none."""
    near = np.linalg.norm(values - ink, axis=1) <= _REACH
    return np.median(values[near], axis=0) if near.any() else ink


def _outermost(values: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Return the ink of which a colour [d] is a tint: strokes less wide than a pixel show no more than tints."""
    direction = ink / max(float(np.linalg.norm(ink)), 1e-9)
    along = values @ direction
    tints = np.linalg.norm(values - along[:, None] * direction, axis=1) <= _REACH / 2
    if not tints.any():
        return ink
    return np.median(values[tints & (along >= _WHOLE * along[tints].max())], axis=0)
