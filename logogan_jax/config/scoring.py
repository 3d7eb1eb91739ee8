"""What the critic of a run has memorised of its training images."""

from typing import Any

import numpy as np

from logogan_jax.config import restore
from logogan_jax.config.restore import RestoredRun
from logogan_jax.metrics import overfitting

MOST = 2_048  # images of each kind that are scored, at most


def score_images(run: RestoredRun, pixels: np.ndarray, seed: int) -> dict[str, Any]:
    """Score training images, held-out ones, and pictures by the critic of a run.

    Args:
        run: the run.
        pixels: the first pictures of a seed, uint8[n, H, W, C].
        seed: the seed.

    Returns:
        {"critic": {"overfitting": {"value", "low", "high"}, "train", "held_out", "pictures": mean scores}}, or {} where
        there is no critic or nothing was held out.
    """
    train, held_out = restore.subsets(run)
    if run.model.score is None or not len(held_out):
        return {}
    labels = np.asarray(run.model.labels(restore.seed_key(seed), np.arange(len(pixels))))
    meter = overfitting.CriticMeter(run.model.score, train, held_out, labels, most=MOST)
    scores = meter.score(run.state, pixels)
    means = {name: float(each.mean()) for name, each in scores._asdict().items()}
    return {"critic": {"overfitting": overfitting.overfitting(scores)._asdict(), **means}}
