"""Every metric by name, for features of real images and of fakes."""

from typing import NamedTuple

from logogan_jax.metrics import kid_fid, precision_recall
from logogan_jax.metrics.features import Features
from logogan_jax.metrics.precision_recall import Neighbourhoods

MIN_IMAGES = precision_recall.GROUPS  # images that each set must have


class Pair(NamedTuple):
    """Two sets of images as the metrics see them."""

    real: Features
    fake: Features
    near: Neighbourhoods


# Name -> function of a Pair -> Estimate. Where it says what is good: small distances, and the rest near 1.
METRICS = {
    "kid": lambda pair: kid_fid.kid(pair.real.head, pair.fake.head),
    "fd": lambda pair: kid_fid.frechet_distance(pair.real.taps, pair.fake.taps),
    "precision": lambda pair: precision_recall.precision(pair.near),
    "recall": lambda pair: precision_recall.recall(pair.near),
    "density": lambda pair: precision_recall.density(pair.near),
    "coverage": lambda pair: precision_recall.coverage(pair.near),
    "diversity": lambda pair: precision_recall.diversity(pair.near),
}


def compute_metrics(real, fake, *, name):
    """Every metric of Features of real images against those of fakes, under its name with the network's -> Estimate.

    Both sets need at least MIN_IMAGES images. A Frechet distance of fewer than kid_fid.FRECHET_MIN_IMAGES images says
    mostly how few they are: whoever prints it prints their number, too.
    """
    fewest = min(len(real.head), len(fake.head))
    if fewest < MIN_IMAGES:
        raise ValueError(f"{fewest} images are too few to measure: at least {MIN_IMAGES}")
    pair = Pair(real, fake, precision_recall.find_neighbourhoods(real.head, fake.head))
    return {metric_name(metric, name): function(pair) for metric, function in METRICS.items()}


def metric_name(metric, network):
    """The full name of a metric: with Inception's features, the Frechet distance is the FID."""
    return f"{'fid' if (metric, network) == ('fd', 'inception') else metric}_{network}"
