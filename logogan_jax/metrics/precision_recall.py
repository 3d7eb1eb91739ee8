"""Metrics from neighbourhoods in feature space: precision, recall, density, coverage, diversity.

Improved precision and recall are Kynkaanniemi et al. 2019 (arXiv 1904.06991), density and coverage Naeem et al. 2020
(arXiv 2002.09797). The ball of an image reaches to its k-th nearest neighbour of its own set, which is still inside.
Everything is float64 and works in blocks; the same features are at distance 0 exactly.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from logogan_jax.core.intervals import Estimate, normal_estimate, wilson_estimate
from logogan_jax.metrics.kid_fid import blocks

# The radius of a ball is the distance to the k-th nearest neighbour.
K_PRECISION = 3  # k of precision and recall
K_DENSITY = 5  # k of density and coverage
GROUPS = 10  # random parts of each set, left out in turn for the jackknife variance of a metric
_ROUNDING = 1e-12  # share of two features' squared lengths below which their squared distance is rounding


class Neighbourhoods(NamedTuple):
    """Which of n fakes and m reals lie in which balls: of all images ([0]), and without each group ([1 + group]).

    Attributes:
        fakes_in_3: int[1 + G, n], the number of balls of reals with k = 3 that hold each fake.
        fakes_in_5: int[1 + G, n], the same with k = 5.
        reals_in_3: int[1 + G, m], the number of balls of fakes with k = 3 that hold each real.
        covered: bool[1 + G, m], whether a real's ball holds a fake, without groups of reals.
        covered_by_fewer: bool[G, m], the same without groups of fakes.
        group: int[m], the group of each real.
        real_distances: float64[m], the sum of a real's distances to the other reals.
        fake_distances: float64[n], the sum of a fake's distances to the other fakes.
    """

    fakes_in_3: np.ndarray
    fakes_in_5: np.ndarray
    reals_in_3: np.ndarray
    covered: np.ndarray
    covered_by_fewer: np.ndarray
    group: np.ndarray
    real_distances: np.ndarray
    fake_distances: np.ndarray


def find_neighbourhoods(real: np.ndarray, fake: np.ndarray) -> Neighbourhoods:
    """Return the Neighbourhoods of features [m, D] and [n, D], of at least ten images each, in a random order."""
    centre = real.mean(0, dtype=np.float64)
    shuffle = np.random.default_rng(0).permutation  # so that a group is a random part of its set
    real = real[shuffle(len(real))]
    fake = fake[shuffle(len(fake))]
    real_group, fake_group = (np.arange(len(x)) * GROUPS // len(x) for x in (real, fake))
    (radii_3, radii_5), real_distances = _balls(real, centre, real_group, (K_PRECISION, K_DENSITY))
    (fake_radii,), fake_distances = _balls(fake, centre, fake_group, (K_PRECISION,))
    fakes_in_3, fakes_in_5 = np.zeros((2, 1 + GROUPS, len(fake)), int)
    reals_in_3 = np.zeros((1 + GROUPS, len(real)), int)
    nearest = np.full((len(real), GROUPS, 1), np.inf)
    for i in blocks(len(real)):
        for j in blocks(len(fake)):
            squares = _squared_distances(real[i], fake[j], centre)
            fakes_in_3[:, j] += _count_balls(squares, radii_3[:, i])
            fakes_in_5[:, j] += _count_balls(squares, radii_5[:, i])
            reals_in_3[:, i] += _count_balls(squares.T, fake_radii[:, j])
            _keep_nearest(nearest[i], squares, fake_group[j])
    covered = nearest.min((1, 2)) <= radii_5
    by_fewer = np.stack([_kth(_without(nearest, g), 1) <= radii_5[0] for g in range(GROUPS)])
    return Neighbourhoods(
        fakes_in_3, fakes_in_5, reals_in_3, covered, by_fewer, real_group, real_distances, fake_distances
    )


def precision(neighbourhoods: Neighbourhoods) -> Estimate:
    """Return the share of the fakes that lie in a ball of a real."""
    return _estimate_share(neighbourhoods.fakes_in_3 > 0)


def recall(neighbourhoods: Neighbourhoods) -> Estimate:
    """Return the share of the reals that lie in a ball of a fake."""
    return _estimate_share(neighbourhoods.reals_in_3 > 0)


def density(neighbourhoods: Neighbourhoods) -> Estimate:
    """Return the mean number of balls of reals that hold a fake, divided by k; 1 for fakes like the reals."""
    densities = neighbourhoods.fakes_in_5 / K_DENSITY
    return normal_estimate(densities[0].mean(), _variance_of_mean(densities), lowest=0.0)


def coverage(neighbourhoods: Neighbourhoods) -> Estimate:
    """Return the share of the reals whose ball holds a fake."""
    covered = neighbourhoods.covered
    group = neighbourhoods.group
    fewer_reals = np.stack([covered[1 + g][group != g].mean() for g in range(GROUPS)])
    variance = _jackknife_variance(fewer_reals) + _jackknife_variance(neighbourhoods.covered_by_fewer.mean(1))
    return wilson_estimate(covered[0].mean(), variance, len(group))


def diversity(neighbourhoods: Neighbourhoods) -> Estimate:
    """Return the mean distance of two fakes over that of two reals; 1 where equally diverse, 0 where all are equal.

    NaN where the reals are all equal and the fakes are not: nothing can be compared with them.
    """
    real, real_variance = _mean_distance(neighbourhoods.real_distances)
    fake, fake_variance = _mean_distance(neighbourhoods.fake_distances)
    if not real:
        value = math.nan if fake else 0.0
        return Estimate(value, value, value)
    ratio = fake / real
    return normal_estimate(ratio, (fake_variance + ratio**2 * real_variance) / real**2, lowest=0.0)


# ── Balls ───────────────────────────────────────────────────────────────────────────────────


def _balls(x: np.ndarray, centre: np.ndarray, group: np.ndarray, ks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Measure the balls of a set of features [m, D], for several k.

    Returns:
        Squared radii [len(ks), 1 + G, m], which are -1 for the images of a group that is left out, so that their balls
        hold nothing, and sums of an image's distances to the others [m].
    """
    nearest = np.full((len(x), GROUPS, max(ks)), np.inf)  # of each group, so that any may be missing
    sums = np.zeros(len(x))
    for i in blocks(len(x)):
        for j in blocks(len(x)):
            squares = _squared_distances(x[i], x[j], centre)
            if i == j:
                np.fill_diagonal(squares, 0.0)
            sums[i] += np.sqrt(squares).sum(1)
            if i == j:
                np.fill_diagonal(squares, np.inf)  # no image is its own neighbour
            _keep_nearest(nearest[i], squares, group[j])
    radii = np.full((len(ks), 1 + GROUPS, len(x)), -1.0)
    for k, k_radii in zip(ks, radii, strict=True):
        k_radii[0] = _kth(nearest, k)
        for g in range(GROUPS):
            k_radii[1 + g][group != g] = _kth(_without(nearest, g), k)[group != g]
    return radii, sums


def _keep_nearest(nearest: np.ndarray, squares: np.ndarray, group: np.ndarray) -> None:
    """Update `nearest` [a, G, k] with the least of `squares` [a, b], whose columns belong to the groups int[b]."""
    k = nearest.shape[2]
    for g in np.unique(group):
        candidates = np.concatenate([nearest[:, g], squares[:, group == g]], 1)
        nearest[:, g] = np.partition(candidates, k - 1, 1)[:, :k]


def _without(nearest: np.ndarray, group: int) -> np.ndarray:
    return np.delete(nearest, group, 1)


def _kth(nearest: np.ndarray, k: int) -> np.ndarray:
    """Return the k-th least number of each of m arrays [G, K]: [m]."""
    return np.partition(nearest.reshape(len(nearest), -1), k - 1, 1)[:, k - 1]


def _count_balls(squares: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Count the balls, of squared radii [1 + G, a], that hold each of b points at squared distances [a, b].

    Returns int[1 + G, b].
    """
    return np.stack([(squares <= radius[:, None]).sum(0) for radius in radii])


def _squared_distances(x: np.ndarray, y: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the squared distances [a, b] of features [a, D] and [b, D]; `centre` [D] keeps the numbers small."""
    x = x.astype(np.float64) - centre
    y = y.astype(np.float64) - centre
    lengths = np.square(x).sum(1)[:, None] + np.square(y).sum(1)
    squares = lengths - 2 * (x @ y.T)
    return np.where(squares > _ROUNDING * lengths, squares, 0.0)


# ── Intervals ───────────────────────────────────────────────────────────────────────────────


def _estimate_share(inside: np.ndarray) -> Estimate:
    """Return the share of points that are inside, bool[1 + G, points]."""
    return wilson_estimate(inside[0].mean(), _variance_of_mean(inside), inside.shape[1])


def _variance_of_mean(values: np.ndarray) -> float:
    """Return the variance of the mean of values[0], from values [1 + G, points].

    The points are a random sample, and so are the images, in groups, whose balls they are compared with.
    """
    return values[0].var() / (values.shape[1] - 1) + _jackknife_variance(values[1:].mean(1))


def _jackknife_variance(values: np.ndarray) -> float:
    """Return the variance of a number from its values [G] without each group."""
    return (GROUPS - 1) * np.var(values).item()


def _mean_distance(sums: np.ndarray) -> tuple[float, float]:
    """Return the mean distance of two of m images and its jackknife variance.

    `sums` [m] are each image's sum of distances to the others.
    """
    m = len(sums)
    without = (sums.sum() - 2 * sums) / ((m - 1) * (m - 2))
    return sums.sum() / (m * (m - 1)), (m - 1) * without.var()
