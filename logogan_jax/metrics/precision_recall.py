"""What neighbourhoods in feature space tell: precision, recall, density, coverage, diversity.

Improved precision and recall are Kynkaanniemi et al. 2019 (arXiv 1904.06991), density and coverage Naeem et al. 2020
(arXiv 2002.09797). The ball of an image reaches to its k-th nearest neighbour of its own set, which is still inside.
Everything is float64 and works in blocks; the same features are at distance 0 exactly.
"""

from typing import NamedTuple

import numpy as np

from logogan_jax.core.intervals import normal_estimate, wilson_estimate
from logogan_jax.metrics.kid_fid import blocks

NEAR, NEAREST = 3, 5  # neighbours that a ball reaches: of precision and recall, of density and coverage
GROUPS = 10  # random parts of each set, left out in turn to see how much a number owes to the images at hand
_SAME = 1e-12  # share of two features' squared lengths below which their squared distance is rounding


class Neighbourhoods(NamedTuple):
    """Which of n fakes and m reals are in whose balls: of all images ([0]), and without each group ([1 + group]).

    `fakes_in_3`, `fakes_in_5` int[1 + G, n]: balls of reals that hold each fake; `reals_in_3` int[1 + G, m]: balls of
    fakes that hold each real; `covered` bool[1 + G, m]: whether a real's ball holds a fake, without groups of reals,
    and `covered_by_fewer` bool[G, m] without groups of fakes; `group` int[m] is that of each real. `from_reals`
    float64[m] and `from_fakes` float64[n] are the sums of an image's distances to the others of its set.
    """

    fakes_in_3: np.ndarray
    fakes_in_5: np.ndarray
    reals_in_3: np.ndarray
    covered: np.ndarray
    covered_by_fewer: np.ndarray
    group: np.ndarray
    from_reals: np.ndarray
    from_fakes: np.ndarray


def find_neighbourhoods(real, fake):
    """The Neighbourhoods of features [m, D] and [n, D], of at least ten images each, in a random order."""
    centre = real.mean(0, dtype=np.float64)
    shuffle = np.random.default_rng(0).permutation  # so that a group is a random part of its set
    real, fake = real[shuffle(len(real))], fake[shuffle(len(fake))]
    group, group_of_fake = (np.arange(len(x)) * GROUPS // len(x) for x in (real, fake))
    (radii_3, radii_5), from_reals = _balls(real, centre, group, (NEAR, NEAREST))
    (fake_radii,), from_fakes = _balls(fake, centre, group_of_fake, (NEAR,))
    fakes_in_3, fakes_in_5 = np.zeros((2, 1 + GROUPS, len(fake)), int)
    reals_in_3 = np.zeros((1 + GROUPS, len(real)), int)
    nearest = np.full((len(real), GROUPS, 1), np.inf)
    for i in blocks(len(real)):
        for j in blocks(len(fake)):
            squares = _squares(real[i], fake[j], centre)
            fakes_in_3[:, j] += _held(squares, radii_3[:, i])
            fakes_in_5[:, j] += _held(squares, radii_5[:, i])
            reals_in_3[:, i] += _held(squares.T, fake_radii[:, j])
            _keep_nearest(nearest[i], squares, group_of_fake[j])
    covered = nearest.min((1, 2)) <= radii_5
    by_fewer = np.stack([_kth(_without(nearest, g), 1) <= radii_5[0] for g in range(GROUPS)])
    return Neighbourhoods(fakes_in_3, fakes_in_5, reals_in_3, covered, by_fewer, group, from_reals, from_fakes)


def precision(near):
    """Share of the fakes that lie in a ball of a real -> Estimate."""
    return _share(near.fakes_in_3 > 0)


def recall(near):
    """Share of the reals that lie in a ball of a fake -> Estimate."""
    return _share(near.reals_in_3 > 0)


def density(near):
    """Balls of reals that hold a fake, on average, in units of k -> Estimate; 1 for fakes like the reals."""
    each = near.fakes_in_5 / NEAREST
    return normal_estimate(each[0].mean(), _spread(each), lowest=0.0)


def coverage(near):
    """Share of the reals whose ball holds a fake -> Estimate."""
    fewer_reals = [near.covered[1 + g][near.group != g].mean() for g in range(GROUPS)]
    variance = _left_out(fewer_reals) + _left_out(near.covered_by_fewer.mean(1))
    return wilson_estimate(near.covered[0].mean(), variance, len(near.group))


def diversity(near):
    """Mean distance of two fakes over that of two reals -> Estimate; 1 for as diverse, 0 for all the same."""
    (real, real_variance), (fake, fake_variance) = _mean_pair(near.from_reals), _mean_pair(near.from_fakes)
    real = real or 1.0  # where the reals are one picture, there is nothing to be measured by
    ratio = fake / real
    return normal_estimate(ratio, (fake_variance + ratio**2 * real_variance) / real**2, lowest=0.0)


# ── Balls ───────────────────────────────────────────────────────────────────────────────────


def _balls(x, centre, group, ks):
    """(squared radii [k, 1 + G, m] of a set's balls, sums of distances [m]); those of a group left out hold nothing."""
    nearest = np.full((len(x), GROUPS, max(ks)), np.inf)  # of each group, so that any may be missing
    sums = np.zeros(len(x))
    for i in blocks(len(x)):
        for j in blocks(len(x)):
            squares = _squares(x[i], x[j], centre)
            if i == j:
                np.fill_diagonal(squares, 0.0)
            sums[i] += np.sqrt(squares).sum(1)
            if i == j:
                np.fill_diagonal(squares, np.inf)  # nobody is a neighbour of its own
            _keep_nearest(nearest[i], squares, group[j])
    radii = np.full((len(ks), 1 + GROUPS, len(x)), -1.0)
    for k, of_k in zip(ks, radii, strict=True):
        of_k[0] = _kth(nearest, k)
        for g in range(GROUPS):
            of_k[1 + g][group != g] = _kth(_without(nearest, g), k)[group != g]
    return radii, sums


def _keep_nearest(nearest, squares, group):
    """Put the least of `squares` [a, b], whose columns are of some groups [b], into `nearest` [a, G, k]."""
    k = nearest.shape[2]
    for g in np.unique(group):
        found = np.concatenate([nearest[:, g], squares[:, group == g]], 1)
        nearest[:, g] = np.partition(found, k - 1, 1)[:, :k]


def _without(nearest, group):
    return np.delete(nearest, group, 1)


def _kth(nearest, k):
    """The k-th least of each row of [m, G, K] -> [m]."""
    return np.partition(nearest.reshape(len(nearest), -1), k - 1, 1)[:, k - 1]


def _held(squares, radii):
    """How many balls of squared radii [1 + G, a] hold each of b points at squared distances [a, b] -> [1 + G, b]."""
    return np.stack([(squares <= radius[:, None]).sum(0) for radius in radii])


def _squares(x, y, centre):
    """Squared distances [a, b] of features [a, D] and [b, D]."""
    x, y = x.astype(np.float64) - centre, y.astype(np.float64) - centre
    lengths = np.square(x).sum(1)[:, None] + np.square(y).sum(1)
    squares = lengths - 2 * (x @ y.T)
    return np.where(squares > _SAME * lengths, squares, 0.0)


# ── Intervals ───────────────────────────────────────────────────────────────────────────────


def _share(inside):
    """Estimate of the share of points that are inside: bool[1 + G, points]."""
    return wilson_estimate(inside[0].mean(), _spread(inside), inside.shape[1])


def _spread(each):
    """Variance of the mean of each[0] [points]: that of drawing the points, and, by group, whom they are held to."""
    return each[0].var() / (each.shape[1] - 1) + _left_out(each[1:].mean(1))


def _left_out(values):
    """Jackknife variance of a number, from its values without each group."""
    return (GROUPS - 1) * np.var(values)


def _mean_pair(sums):
    """(mean distance of two of m images, its jackknife variance) from each one's sum of distances to the others."""
    m = len(sums)
    without = (sums.sum() - 2 * sums) / ((m - 1) * (m - 2))
    return sums.sum() / (m * (m - 1)), (m - 1) * without.var()
