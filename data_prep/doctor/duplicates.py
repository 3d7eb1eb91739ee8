"""Images that are the same, or nearly, among many of them.

Two images are nearly the same when their thumbnails, moved over each other by less than a cell, differ by
less than NEAR of what is to be seen in the fainter one. Colours count: a red mark is no copy of a blue one.
The usual perceptual hashes fail on logos, most of which are symmetric: the bits of what is zero in them
turn with every grain of JPEG noise.
"""

import collections
from typing import NamedTuple

import numpy as np

SIDE = 24  # of the thumbnails, in cells
# Difference over contrast. Logos of 112 pixels saved as JPEG of quality 70, or moved by a pixel, stay below it in 99
# of 100 cases; of the 5.3 million pairs of embedded logos three are below it: twins, and two pairs much alike.
NEAR = 0.2
_COARSE = 8  # cells of the thumbnails' thumbnails, which are compared first
_VALUES = 3 * _COARSE**2
_MAYBE = 0.3  # their difference over contrast, above which no two thumbnails are ever near
_ROWS, _PAIRS = 128, 2048  # that are compared at once
_STEPS = 3  # in which thumbnails are moved over each other
_REACH = 1.0  # cells by which they are moved at most


class _Looks(NamedTuple):
    """Thumbnails sorted by brightness, so that only neighbours need comparing; `index` is where they were."""

    thumbnails: np.ndarray
    index: np.ndarray
    coarse: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray


def exact(digests):
    """Digests of pixels -> [[i, j, ...], ...] of those that several share, in order."""
    groups = collections.defaultdict(list)
    for number, digest in enumerate(digests):
        groups[digest].append(number)
    return [group for group in groups.values() if len(group) > 1]


def near(thumbnails):
    """uint8[n, SIDE, SIDE, 3] -> [[i, j, ...], ...]: an image each and those that are near to it, in order."""
    looks = _looks(thumbnails)
    first = np.arange(len(thumbnails))  # whom each belongs to: at the beginning, to itself
    for ones, others in _maybe(looks, looks):
        while len(ones):
            # Whoever belongs to somebody needs no more comparing, so a thousand copies cost a thousand steps.
            free = (first[ones] == ones) & (first[others] == others)
            ones, others = ones[free], others[free]
            for one, other in _near(looks, looks, ones[:_PAIRS], others[:_PAIRS]):
                if first[one] == one and first[other] == other:
                    first[other] = one
            ones, others = ones[_PAIRS:], others[_PAIRS:]
    groups = collections.defaultdict(list)
    for place, leader in enumerate(first):
        groups[leader].append(int(looks.index[place]))
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def shared(thumbnails, against):
    """uint8[n, SIDE, SIDE, 3], uint8[m, SIDE, SIDE, 3] -> {i: j} for each i that is near to some j of `against`."""
    these, those = _looks(thumbnails), _looks(against)
    found = np.full(len(thumbnails), -1)
    for ones, others in _maybe(these, those):
        while len(ones):
            new = found[ones] < 0
            ones, others = ones[new], others[new]
            for one, other in _near(these, those, ones[:_PAIRS], others[:_PAIRS]):
                found[one] = other
            ones, others = ones[_PAIRS:], others[_PAIRS:]
    return {int(these.index[one]): int(those.index[found[one]]) for one in np.flatnonzero(found >= 0)}


def differences(ones, others):
    """float32[n, SIDE, SIDE, 3] twice -> float[n]: root mean square, after alignment, over the lesser contrast."""
    best = np.full(len(ones), np.inf, np.float32)
    right = down = np.zeros(len(ones), np.float32)
    for step in range(_STEPS + 1):
        here, there = _moved(ones, right / 2, down / 2), _moved(others, -right / 2, -down / 2)
        # Without the outermost cells, into which a moved picture brings what was outside.
        best = np.minimum(best, np.square((here - there)[:, 1:-1, 1:-1]).mean((1, 2, 3)))
        if step < _STEPS:
            more_right, more_down = _offset(here, there)
            right, down = (np.clip(a + b, -_REACH, _REACH) for a, b in ((right, more_right), (down, more_down)))
    return np.sqrt(best) / np.maximum(np.minimum(_contrast(ones), _contrast(others)), 1e-3)


def _looks(thumbnails):
    brightness = thumbnails.mean((1, 2, 3), np.float32) - 128
    index = np.argsort(brightness, kind="stable")
    values = thumbnails[index]
    cells = values.reshape(len(values), _COARSE, SIDE // _COARSE, _COARSE, SIDE // _COARSE, 3)
    coarse = cells.mean((2, 4), np.float32).reshape(len(values), _VALUES) - 128
    contrast = np.concatenate([_contrast(part) for part in np.array_split(values, len(values) // _PAIRS + 1)])
    return _Looks(values, index, coarse, brightness[index], contrast)


def _contrast(values):
    return np.sqrt(values.astype(np.float32).var((1, 2)).mean(-1))


def _maybe(these, those):
    """Yield places (int[k], int[k]) of pairs whose coarse thumbnails are alike; each pair once if they are the same.

    The means of cells differ by less than the cells do, and brightness, the mean of all, by less still.
    """
    lengths = np.square(those.coarse).sum(1)
    for start in range(0, len(these.index), _ROWS):
        rows = slice(start, start + _ROWS)
        coarse, reach = these.coarse[rows], _MAYBE * these.contrast[rows]
        low = start if these is those else np.searchsorted(those.brightness, (these.brightness[rows] - reach).min())
        high = np.searchsorted(those.brightness, (these.brightness[rows] + reach).max(), side="right")
        apart = np.square(coarse).sum(1)[:, None] + lengths[low:high] - 2 * coarse @ those.coarse[low:high].T
        limit = _MAYBE * np.minimum(these.contrast[rows, None], those.contrast[low:high])
        ones, others = np.nonzero(apart <= _VALUES * np.square(limit))
        ones, others = ones + start, others + low
        once = ones < others if these is those else slice(None)
        yield ones[once], others[once]


def _near(these, those, ones, others):
    """The pairs among two arrays of places that are near, as [(int, int), ...]."""
    found = differences(these.thumbnails[ones].astype(np.float32), those.thumbnails[others].astype(np.float32)) < NEAR
    return list(zip(ones[found].tolist(), others[found].tolist(), strict=True))


def _offset(ones, others):
    """How far (right, down) the first lie from the second, by their slopes: Lucas and Kanade's step, 1981."""
    down, right = (np.gradient((ones + others) / 2, axis=axis)[:, 1:-1, 1:-1] for axis in (1, 2))
    apart = (ones - others)[:, 1:-1, 1:-1]
    dot = lambda a, b: np.einsum("nijk,nijk->n", a, b)
    rr, dd, rd, ra, da = dot(right, right), dot(down, down), dot(right, down), dot(right, apart), dot(down, apart)
    determinant = rr * dd - rd * rd + 1e-3
    return (dd * ra - rd * da) / determinant, (rr * da - rd * ra) / determinant


def _moved(values, right, down):
    """Thumbnails moved by fractions of a cell (float[n] each), edges repeated."""
    for axis, shift in ((2, right), (1, down)):
        edges = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        padded = np.pad(values, edges, mode="edge")
        before, after = np.take(padded, range(0, SIDE), axis), np.take(padded, range(2, SIDE + 2), axis)
        shift = shift[:, None, None, None]
        values = values + np.abs(shift) * (np.where(shift > 0, before, after) - values)
    return values
