"""Images that are the same, or nearly the same, among many.

Two images are nearly the same when their thumbnails, shifted over each other by less than a cell, differ by
less than NEAR_THRESHOLD of the contrast of the fainter one. Colours count: a red logo is no copy of a blue one.
The usual perceptual hashes fail on logos, most of which are symmetric: many of their coefficients are zero, and
the bits of those change with the noise of a JPEG.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

SIDE = 24  # of the thumbnails, in cells
# Difference over contrast. Logos of 112 pixels saved as JPEG of quality 70, or shifted by a pixel, stay below it in
# 99 of 100 cases. Of the 5.3 million pairs of embedded logos three are below it: twins, and two pairs much alike.
NEAR_THRESHOLD = 0.2
_COARSE_SIDE = 8  # cells of the coarse thumbnails, which are compared first because that is cheap
_COARSE_VALUES = 3 * _COARSE_SIDE**2
_COARSE_THRESHOLD = 0.3  # no pair that is near differs by more in the coarse thumbnails
_BLOCK_ROWS = 128  # coarse thumbnails that are compared with the others at once
_BLOCK_PAIRS = 2048  # pairs of thumbnails that are compared at once
_ALIGNMENT_STEPS = 3
_MAX_SHIFT = 1.0  # cells by which one thumbnail is shifted over the other at most


class _SortedThumbnails(NamedTuple):
    """Thumbnails in order of brightness, so that only neighbours need comparing; `places` are those before sorting."""

    thumbnails: np.ndarray
    places: np.ndarray
    coarse: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray


def group_exact(digests: Sequence[bytes]) -> list[list[int]]:
    """Return the groups of numbers that share a digest of pixels, in order."""
    groups: dict[bytes, list[int]] = collections.defaultdict(list)
    for number, digest in enumerate(digests):
        groups[digest].append(number)
    return [group for group in groups.values() if len(group) > 1]


def group_near(thumbnails: np.ndarray) -> list[list[int]]:
    """Return groups of numbers of uint8[n, SIDE, SIDE, 3]: an image and those that are nearly the same, in order."""
    ordered = _sort(thumbnails)
    leaders = np.arange(len(thumbnails))  # the image to whose group each belongs; at first its own
    # An image that has a group is not compared any more, so a thousand copies cost a thousand comparisons.
    is_free = lambda ones, others: (leaders[ones] == ones) & (leaders[others] == others)
    for one, other in _near_pairs(ordered, ordered, is_free):
        if leaders[one] == one and leaders[other] == other:
            leaders[other] = one
    groups: dict[int, list[int]] = collections.defaultdict(list)
    for place, leader in enumerate(leaders):
        groups[int(leader)].append(int(ordered.places[place]))
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def match_near(thumbnails: np.ndarray, against: np.ndarray) -> dict[int, int]:
    """Return {i: j} for each i of uint8[n, SIDE, SIDE, 3] that is nearly the same as some j of uint8[m, ...]."""
    these, those = _sort(thumbnails), _sort(against)
    matches = np.full(len(thumbnails), -1)
    for one, other in _near_pairs(these, those, lambda ones, _: matches[ones] < 0):
        matches[one] = other
    return {int(these.places[one]): int(those.places[matches[one]]) for one in np.flatnonzero(matches >= 0)}


def differences(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return float[n]: the root mean square difference after alignment, over the smaller contrast.

    Both arguments are float32[n, SIDE, SIDE, 3].
    """
    smallest = np.full(len(ones), np.inf, np.float32)
    right = down = np.zeros(len(ones), np.float32)
    for step in range(_ALIGNMENT_STEPS + 1):
        shifted_ones = _shift(ones, right / 2, down / 2)
        shifted_others = _shift(others, -right / 2, -down / 2)
        # The outermost cells are left out: a shift fills them with what was outside the picture.
        inner = (shifted_ones - shifted_others)[:, 1:-1, 1:-1]
        smallest = np.minimum(smallest, np.square(inner).mean((1, 2, 3)))
        if step < _ALIGNMENT_STEPS:
            more_right, more_down = _estimate_shift(shifted_ones, shifted_others)
            right = np.clip(right + more_right, -_MAX_SHIFT, _MAX_SHIFT)
            down = np.clip(down + more_down, -_MAX_SHIFT, _MAX_SHIFT)
    return np.sqrt(smallest) / np.maximum(np.minimum(_contrast(ones), _contrast(others)), 1e-3)


def _sort(thumbnails: np.ndarray) -> _SortedThumbnails:
    brightness = thumbnails.mean((1, 2, 3), np.float32) - 128
    places = np.argsort(brightness, kind="stable")
    values = thumbnails[places]
    cells = values.reshape(len(values), _COARSE_SIDE, SIDE // _COARSE_SIDE, _COARSE_SIDE, SIDE // _COARSE_SIDE, 3)
    coarse = cells.mean((2, 4), np.float32).reshape(len(values), _COARSE_VALUES) - 128
    contrast = np.concatenate([_contrast(part) for part in np.array_split(values, len(values) // _BLOCK_PAIRS + 1)])
    return _SortedThumbnails(values, places, coarse, brightness[places], contrast)


def _contrast(values: np.ndarray) -> np.ndarray:
    return np.sqrt(values.astype(np.float32).var((1, 2)).mean(-1))


def _near_pairs(
    these: _SortedThumbnails, those: _SortedThumbnails, is_open: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Iterator[tuple[int, int]]:
    """Yield places of pairs that are nearly the same.

    `is_open` says of places (int[k], int[k]) which pairs still matter. It is asked again before each block, because
    the pairs yielded so far can change the answer.
    """
    for ones, others in _candidates(these, those):
        while len(ones):
            still_open = is_open(ones, others)
            ones, others = ones[still_open], others[still_open]
            block = ones[:_BLOCK_PAIRS], others[:_BLOCK_PAIRS]
            thumbnails = these.thumbnails[block[0]].astype(np.float32), those.thumbnails[block[1]].astype(np.float32)
            near = differences(*thumbnails) < NEAR_THRESHOLD
            yield from zip(block[0][near].tolist(), block[1][near].tolist(), strict=True)
            ones, others = ones[_BLOCK_PAIRS:], others[_BLOCK_PAIRS:]


def _candidates(these: _SortedThumbnails, those: _SortedThumbnails) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield places (int[k], int[k]) of pairs whose coarse thumbnails are similar; each pair once in one set.

    Means of cells differ by less than the cells themselves, and brightness, the mean of all cells, by less still.
    So no pair that is nearly the same is missed.
    """
    same_set = these is those
    lengths = np.square(those.coarse).sum(1)
    for start in range(0, len(these.places), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        coarse = these.coarse[rows]
        reach = _COARSE_THRESHOLD * these.contrast[rows]
        low = start if same_set else np.searchsorted(those.brightness, (these.brightness[rows] - reach).min())
        high = np.searchsorted(those.brightness, (these.brightness[rows] + reach).max(), side="right")
        distances = np.square(coarse).sum(1)[:, None] + lengths[low:high] - 2 * coarse @ those.coarse[low:high].T
        limits = _COARSE_THRESHOLD * np.minimum(these.contrast[rows, None], those.contrast[low:high])
        ones, others = np.nonzero(distances <= _COARSE_VALUES * np.square(limits))
        ones, others = ones + start, others + low
        once = ones < others if same_set else slice(None)
        yield ones[once], others[once]


def _estimate_shift(ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far (right, down) the first lie from the second, by one step of Lucas and Kanade (1981)."""
    down, right = (np.gradient((ones + others) / 2, axis=axis)[:, 1:-1, 1:-1] for axis in (1, 2))
    difference = (ones - others)[:, 1:-1, 1:-1]
    dot = lambda a, b: np.einsum("nijk,nijk->n", a, b)
    right_right = dot(right, right)
    down_down = dot(down, down)
    right_down = dot(right, down)
    right_difference = dot(right, difference)
    down_difference = dot(down, difference)
    determinant = right_right * down_down - right_down * right_down + 1e-3
    return (
        (down_down * right_difference - right_down * down_difference) / determinant,
        (right_right * down_difference - right_down * right_difference) / determinant,
    )


def _shift(values: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return thumbnails shifted by fractions of a cell (float[n] each), with repeated edges."""
    for axis, amount in ((2, right), (1, down)):
        padding = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        padded = np.pad(values, padding, mode="edge")
        before = np.take(padded, range(0, SIDE), axis)
        after = np.take(padded, range(2, SIDE + 2), axis)
        amount = amount[:, None, None, None]
        values = values + np.abs(amount) * (np.where(amount > 0, before, after) - values)
    return values
