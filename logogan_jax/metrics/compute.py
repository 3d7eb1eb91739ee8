"""Every metric by name, for features of real images and of fakes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from logogan_jax.core.intervals import Estimate
from logogan_jax.metrics import kid_fid, precision_recall
from logogan_jax.metrics.features import Features
from logogan_jax.metrics.precision_recall import Neighbourhoods

# Networks whose channels have very different scales: each gets the mean 0 and the deviation 1 that it has in the reals.
STANDARDISED = ("ppocr",)
_LEAST_DEVIATION = 1e-3  # of the largest of all channels
MIN_IMAGES = precision_recall.GROUPS  # images that each set must have


class Pair(NamedTuple):
    """Features of two sets of images, and the neighbourhoods in `head` that five metrics share."""

    real: Features
    fake: Features
    neighbourhoods: Neighbourhoods


# Small distances are good; the other metrics are good near 1.
METRICS: dict[str, Callable[[Pair], Estimate]] = {
    "kid": lambda pair: kid_fid.kid(pair.real.head, pair.fake.head),
    "fd": lambda pair: kid_fid.frechet_distance(pair.real.taps, pair.fake.taps),
    "precision": lambda pair: precision_recall.precision(pair.neighbourhoods),
    "recall": lambda pair: precision_recall.recall(pair.neighbourhoods),
    "density": lambda pair: precision_recall.density(pair.neighbourhoods),
    "coverage": lambda pair: precision_recall.coverage(pair.neighbourhoods),
    "diversity": lambda pair: precision_recall.diversity(pair.neighbourhoods),
}


def compute_metrics(real: Features, fake: Features, *, name: str) -> dict[str, Estimate]:
    """Return every metric of fakes against real images, by its full name; `name` is the feature network's.

    Raises ValueError if a set has fewer than MIN_IMAGES images. A Frechet distance of fewer than
    kid_fid.FRECHET_MIN_IMAGES images is mostly bias: print the number of images beside it.
    """
    fewest = min(len(real.head), len(fake.head))
    if fewest < MIN_IMAGES:
        raise ValueError(f"{fewest} images are too few to measure: at least {MIN_IMAGES}")
    if name in STANDARDISED:
        real, fake = standardise(real, fake)
    pair = Pair(real, fake, precision_recall.find_neighbourhoods(real.head, fake.head))
    return {metric_name(metric, name): function(pair) for metric, function in METRICS.items()}


def standardise(real: Features, fake: Features) -> tuple[Features, Features]:
    """Return the features with each channel moved and scaled so that its mean is 0 and its deviation 1 in the reals."""
    pairs = [_standardise(*pair) for pair in zip(real, fake, strict=True)]
    return Features(*(pair[0] for pair in pairs)), Features(*(pair[1] for pair in pairs))


def _standardise(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = real.mean(0, dtype=np.float64)
    deviation = real.std(0, dtype=np.float64)
    scale = np.maximum(deviation, max(_LEAST_DEVIATION * deviation.max(), 1e-9))
    return (real - mean) / scale, (fake - mean) / scale


def metric_name(metric: str, network: str) -> str:
    """Return the full name of a metric; with Inception's features, the Frechet distance is the FID."""
    return f"{'fid' if (metric, network) == ('fd', 'inception') else metric}_{network}"


def choose_positions(count: int, most: int) -> np.ndarray:
    """Return the positions int[n] of at most `most` of `count` images, chosen at random but the same in every call."""
    return np.sort(np.random.default_rng(0).permutation(count)[:most])
