"""How far a critic has memorised its training images.

Karras et al. 2020 (arXiv 2006.06676, equation 1), where it is called r_v:

    (E[D(training image)] - E[D(held-out image)]) / (E[D(training image)] - E[D(picture)])

At 0 a critic takes images that it has never seen for as real as those that it was trained on. At 1 it takes them for
pictures of the generator: what it teaches the generator then is to copy.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from logogan_jax.core import intervals
from logogan_jax.core.intervals import Estimate
from logogan_jax.data.dataset import Subset
from logogan_jax.distributed import data_parallel
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.metrics import compute

NAME = "critic_overfitting"  # of r_v in logs and tables
MUCH = 0.5  # a critic with more has memorised half of what tells training images from pictures
ADVICE = "set config.augment.policy=logo, or a higher config.augment.strength"
CHUNK = 64  # images that a device scores at a time


class Scores(NamedTuple):
    """A critic's scores float32[n] of training images, of held-out images, and of pictures of the generator."""

    train: np.ndarray
    held_out: np.ndarray
    pictures: np.ndarray


class CriticMeter:
    """Lets the critics of states score training images, held-out images, and pictures.

    `score(state, pixels uint8[n, H, W, C], label int32[n])` -> float32[n] is compiled, `labels` int32[n] are those of
    the pictures. At most `most` images of each kind are scored, which are the same every time. The devices of
    `parallel` share them; without it, one device does all.
    """

    def __init__(
        self,
        score: Callable[[Any, Any, Any], jax.Array],
        train: Subset,
        held_out: Subset,
        labels: np.ndarray,
        *,
        most: int,
        parallel: DataParallel | None = None,
    ):
        self._score = score
        self._train, self._held_out = (_some_images(subset, most) for subset in (train, held_out))
        self._labels = labels[:most]
        self._parallel = parallel

    def score(self, state: Any, pictures: np.ndarray) -> Scores:
        """Return the Scores of a TrainState's critic; pictures are uint8[n, H, W, C]."""
        drawn = (pictures[: len(self._labels)], self._labels)
        return Scores(*(self._in_chunks(state, *images) for images in (self._train, self._held_out, drawn)))

    def _in_chunks(self, state: Any, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if self._parallel:
            shared = self._parallel
            put = lambda part: shared.device_put(part, data_parallel.SHARDED)
            chunk = CHUNK * len(shared.devices)
        else:
            put = jax.device_put
            chunk = CHUNK
        # The last chunk is filled up with the first images: one of another length would be another program.
        numbers = np.arange(-(-len(pixels) // chunk) * chunk) % len(pixels)
        parts = np.split(numbers, len(numbers) // chunk)
        chunks = [self._score(state, put(pixels[part]), put(labels[part])) for part in parts]
        return np.concatenate(data_parallel.gather(chunks))[: len(pixels)]


def overfitting(scores: Scores) -> Estimate:
    """Return the Estimate of r_v.

    It has no value, NaN, where the critic does not tell training images from pictures.
    """
    train, held_out, pictures = (float(np.mean(each, dtype=np.float64)) for each in scores)
    variances = [float(np.var(each, dtype=np.float64)) / len(each) for each in scores]
    told = train - pictures
    if abs(told) <= intervals.Z95 * math.sqrt(variances[0] + variances[2]):
        return Estimate(math.nan, math.nan, math.nan)
    value = (train - held_out) / told
    # Of a ratio whose terms are independent means: the squares of its derivatives by them, times their variances.
    slopes = ((1 - value) / told, -1 / told, value / told)
    return intervals.normal_estimate(value, sum(s * s * v for s, v in zip(slopes, variances, strict=True)))


def _some_images(subset: Subset, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `most` images with their labels, chosen at random but the same in every call."""
    return subset.images(compute.choose_positions(len(subset), most))
