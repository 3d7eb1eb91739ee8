"""Principal directions of a latent space: those along which the pictures of a generator change most.

They are the eigenvectors of the metric of Wang and Ponce 2021 (arXiv 2101.06006), with the squared distance of pixels
for the distance of pictures: the mean of J^T J over some latents, where J is the Jacobian of the picture by z.
training.sampling computes that metric.
"""

from typing import NamedTuple

import numpy as np


class Directions(NamedTuple):
    """Directions of unit length, the strongest first.

    Attributes:
        vectors: float32[k, latent].
        shares: float32[k], of the whole change of pictures that each makes; together at most 1.
    """

    vectors: np.ndarray
    shares: np.ndarray


def principal(metric: np.ndarray, count: int, kept: int = 0) -> Directions:
    """Return the `count` principal Directions of a metric [latent, latent]; the last `kept` numbers of z stay out."""
    moving = len(metric) - kept
    # In float64, because rounding mixes directions that are nearly as strong as each other.
    values, vectors = np.linalg.eigh(np.asarray(metric, np.float64)[:moving, :moving])
    strongest = np.argsort(values)[::-1][:count]
    directions = np.zeros((len(strongest), len(metric)), np.float32)
    directions[:, :moving] = vectors[:, strongest].T
    # Either sign is a direction. This one does not depend on the library of linear algebra.
    largest = np.abs(directions).argmax(1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    # Small negative values are rounding: the metric is a mean of squares.
    shares = np.maximum(values[strongest], 0) / max(float(np.maximum(values, 0).sum()), 1e-30)
    return Directions(directions, shares.astype(np.float32))
