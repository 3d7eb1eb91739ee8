"""Which images are copies of training images, in what a feature network sees and in pixels.

A distance to the nearest training image says little by itself: plain discs lie close together, intricate crests far
apart. So it is divided by how far that training image is from its own nearest, and the limits below which an image
counts as a copy are those that a stated share of real images, never trained on, would fall below.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import images
from logogan_jax.metrics import features
from logogan_jax.metrics.features import Features

FALSE_ALARMS = 0.01  # share of new, real images that are taken for copies, by both tests together
SHIFT = 2  # pixels by which a copy may be moved, in each direction
GRID = 14  # about this many squares to a side are compared in pixels
COLOUR = 0.25  # weight of colour beside brightness: JPEG keeps little of it in small images
SAME = 0.002  # pixel distance of what is the same picture: half a level of 255
_CROWD = 3  # training images around a training image that say how crowded it is there
_CALIBRATED = 4096  # training images that are held to the others, at most
_CHUNK = 64  # images that are searched for in one call


class MemorizationReport(NamedTuple):
    """Of n images, the nearest training images int[n], and how near float64[n], where less than 1 is a copy.

    Positions are those in the training images that the MemorizationDetector was given; `copied` is bool[n].
    """

    nearest_feature: np.ndarray
    distance_feature: np.ndarray
    nearest_pixel: np.ndarray
    distance_pixel: np.ndarray
    copied: np.ndarray


class MemorizationDetector:
    """Finds copies of the training images uint8[N, H, W, 1|3|4] with their Features; at least five must differ.

    RGBA is seen on white, where pictures that differ in hidden colours are the same.

    `held_out` are (pixels, Features) of real images that were not trained on, if there are any. At most a share
    `false_alarm_rate` of `calibrated` real images are taken for copies: the held-out ones, and training images held
    to all the others. Of the `held_out` ones by themselves, `held_out_alarms` are. Pictures that are the same as
    another of the training images count nowhere here: those `repeated` are copies indeed. `by_feature` and `by_pixel`
    find the nearest training images in each of the two distances.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        embedded: Features,
        held_out: tuple[np.ndarray, Features] | None = None,
        *,
        false_alarm_rate: float = FALSE_ALARMS,
    ):
        pixels = images.on_white(pixels)
        self._kept = _different(pixels)
        if len(self._kept) <= _CROWD + 1:
            raise ValueError(f"{len(self._kept)} different training images are too few: at least {_CROWD + 2}")
        self.by_feature = Neighbors(embedded.head[self._kept], _as_it_is, _as_it_is)
        self.by_pixel = Neighbors(pixels[self._kept], _coarse, _shifted_and_mirrored)
        own = np.random.default_rng(0).permutation(len(self._kept))[:_CALIBRATED]
        feature = self.by_feature.of_training(own)
        pixel = self.by_pixel.of_training(own)
        if held_out and len(held_out[0]):
            more_feature, more_pixel = self._search(*held_out)
            feature = _concatenate(feature, more_feature)
            pixel = _concatenate(pixel, more_pixel)
        new = pixel.distance > SAME
        ratios = np.stack([feature.ratio[new], pixel.ratio[new]])
        self._limits = np.maximum(limits(ratios, share=false_alarm_rate), 1e-9)
        self.false_alarm_rate = false_alarm_rate
        self.calibrated = int(new.sum())
        self.held_out = int(new[len(own) :].sum())
        self.repeated = len(pixels) - len(self._kept) + int((~new).sum())
        alarms = np.any(ratios < self._limits, axis=0)
        self.held_out_alarms = int(alarms[self.calibrated - self.held_out :].sum())

    def find(self, pixels: np.ndarray, embedded: Features) -> MemorizationReport:
        """Return the MemorizationReport of images uint8[n, H, W, 1|3|4] with their Features."""
        feature, pixel = self._search(pixels, embedded)
        feature_distance = feature.ratio / self._limits[0]
        pixel_distance = np.where(pixel.distance > SAME, pixel.ratio / self._limits[1], 0.0)
        copied = (feature_distance < 1) | (pixel_distance < 1)
        return MemorizationReport(
            self._kept[feature.nearest], feature_distance, self._kept[pixel.nearest], pixel_distance, copied
        )

    def _search(self, pixels: np.ndarray, embedded: Features) -> tuple["Near", "Near"]:
        return self.by_feature.of(embedded.head), self.by_pixel.of(images.on_white(pixels))


def limits(ratios: np.ndarray, *, share: float) -> np.ndarray:
    """Return the highest limits [k, 1], alike in rank, with at most a share of n images below any: of ratios [k, n]."""
    ranks = np.argsort(np.argsort(ratios, axis=1, kind="stable"), axis=1, kind="stable")
    # An image lies below the limits of some rank, in any ratio, just when its least rank is less.
    rank = np.sort(ranks.min(0))[int(share * ratios.shape[1])]
    return np.sort(ratios, axis=1)[:, rank : rank + 1]


# ── The nearest training images ─────────────────────────────────────────────────────────────


class Near(NamedTuple):
    """What is nearest to n images."""

    nearest: np.ndarray  # int[n]: positions of training images
    ratio: np.ndarray  # float64[n]: the distance over that training image's own to its nearest
    distance: np.ndarray  # float64[n]


def _concatenate(first: Near, second: Near) -> Near:
    return Near(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


_Views = Callable[[Any], jax.Array]  # images or features [b, ...] -> float32[b, views, D]


class Neighbors:
    """Training images, all different, and a distance in which the nearest of them are found.

    `plain` gives one view of each training image, `views` all views of an image that is compared with them, of which
    the nearest counts.
    """

    def __init__(self, rows: np.ndarray, plain: _Views, views: _Views):
        self._rows = rows
        self._views = views
        parts = [plain(rows[start : start + _CHUNK])[:, 0] for start in range(0, len(rows), _CHUNK)]
        reference = np.concatenate([jax.device_get(part) for part in parts])
        self._centre = jax.device_put(reference.mean(0))  # small numbers have small errors
        self._reference = jax.device_put(reference) - self._centre
        # The nearest of each training image. They are searched for when they are asked for.
        self._nearest = np.full((len(rows), _CROWD + 1), -1)
        self._distance = np.zeros((len(rows), _CROWD + 1))

    def of(self, rows: np.ndarray) -> Near:
        """Return what is nearest to new images."""
        none = np.full(len(rows), -1)
        nearest, distance = self._search(rows, none)
        return self._relative(nearest[:, 0], distance[:, 0], none)

    def of_training(self, positions: np.ndarray) -> Near:
        """Return what is nearest to training images, each as if it were not among them."""
        self._search_training(positions)
        return self._relative(self._nearest[positions, 0], self._distance[positions, 0], positions)

    def _relative(self, nearest: np.ndarray, distance: np.ndarray, without: np.ndarray) -> Near:
        """Divide each distance by the mean distance of that training image to its nearest, `without` one of them."""
        self._search_training(nearest)
        counted = self._nearest[nearest] != without[:, None]
        counted &= np.cumsum(counted, axis=1) <= _CROWD
        crowd = (self._distance[nearest] * counted).sum(1) / _CROWD
        return Near(nearest, distance / np.maximum(crowd, 1e-9), distance)

    def _search_training(self, positions: np.ndarray) -> None:
        unknown = np.unique(positions[self._nearest[positions, 0] < 0])
        if len(unknown):
            self._nearest[unknown], self._distance[unknown] = self._search(self._rows[unknown], unknown)

    def _search(self, rows: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (positions, distances) [n, 4] of the training images nearest to images, which are not their `own`."""
        found = []
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            own_part = own[start : start + _CHUNK]
            # One shape, one program: the last chunk is filled up.
            rest = _CHUNK - len(part)
            filled = np.concatenate([part, np.zeros((rest, *part.shape[1:]), part.dtype)])
            own_filled = np.concatenate([own_part, np.full(rest, -1)]).astype(np.int32)
            near = _search(self._views, filled, own_filled, self._reference, self._centre)
            found.append([np.asarray(value)[: len(part)] for value in near])
        positions, distances = zip(*found, strict=True)
        return np.concatenate(positions), np.concatenate(distances)


@functools.partial(jax.jit, static_argnums=0)
def _search(
    views: _Views, rows: jax.Array, own: jax.Array, reference: jax.Array, centre: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return (int32, float32) [b, 4]: the rows of `reference` [N, D] nearest to any view of each image, and how far."""
    seen = views(rows) - centre
    squared = jnp.square(reference).sum(1)

    def closer(least, view):
        product = jnp.matmul(view, reference.T, precision=jax.lax.Precision.HIGHEST)
        return jnp.minimum(least, jnp.square(view).sum(1)[:, None] + squared - 2 * product), None

    least = jnp.full((len(seen), len(reference)), jnp.inf)
    least, _ = jax.lax.scan(closer, least, seen.transpose(1, 0, 2))
    least = jnp.where(jnp.arange(len(reference)) == own[:, None], jnp.inf, least)
    _, nearest = jax.lax.top_k(-least, _CROWD + 1)
    # Once more from the differences: a difference of large squares is too coarse for what is nearly the same.
    exact = jax.lax.map(lambda view: jnp.square(view[:, None] - reference[nearest]).mean(2), seen.transpose(1, 0, 2))
    distance, nearest = jax.lax.sort((jnp.sqrt(exact.min(0)), nearest), num_keys=1)
    return nearest, distance


# ── How images are seen ─────────────────────────────────────────────────────────────────────


def _different(pixels: np.ndarray) -> np.ndarray:
    """Return the positions of the first of each different picture: int[k]."""
    digests = [hashlib.sha256(np.ascontiguousarray(image)).digest() for image in pixels]
    return np.sort(np.unique(digests, return_index=True)[1])


def _as_it_is(rows):
    return rows[:, None]


def _coarse(pixels):
    """Return the mean brightness and colour of the squares of a grid: uint8[b, H, W, C] -> float32[b, 1, D]."""
    return _grids(_brightness_and_colour(pixels), shift=0)


def _shifted_and_mirrored(pixels):
    """Return the same of every shift by up to two pixels, mirrored or not: -> float32[b, 50, D]."""
    x = _brightness_and_colour(pixels)
    return jnp.concatenate([_grids(x, shift=SHIFT), _grids(x[:, :, ::-1], shift=SHIFT)], 1)


def _brightness_and_colour(pixels):
    """Return the brightness, and how far each colour is from it, by its weight: -> float32[b, H, W, 4]."""
    x = features.to_rgb(jnp.asarray(pixels)) / 255
    bright = x @ jnp.array([0.299, 0.587, 0.114])
    return jnp.concatenate([jnp.sqrt(3.0) * bright[..., None], COLOUR * (x - bright[..., None])], -1)


def _grids(x, *, shift):
    """Return means over the squares of a grid on each of the places it can be moved to: -> float32[b, V, D]."""
    height, width = x.shape[1:3]
    side = max(1, round(min(height, width) / GRID))
    rows = -(-height // side)
    columns = -(-width // side)
    down, right = ((shift, shift + squares * side - size) for squares, size in ((rows, height), (columns, width)))
    x = jnp.pad(x, ((0, 0), down, right, (0, 0)), mode="edge")
    means = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, side, side, 1), (1, 1, 1, 1), "valid") / side**2
    places = [(i, j) for i in range(2 * shift + 1) for j in range(2 * shift + 1)]
    grids = [means[:, i::side, j::side][:, :rows, :columns] for i, j in places]
    return jnp.stack(grids, 1).reshape(len(x), len(places), -1)
