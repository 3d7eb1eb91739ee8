"""How far two sets of features are apart: KID (Binkowski et al. 2018) and the Frechet distance (Heusel et al. 2017).

Everything is float64, whatever the features are, and works in blocks, so that 50,000 images fit in memory.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from logogan_jax.core.intervals import Estimate, normal_estimate

# The published form of KID.
SUBSET = 1000  # images of a subset
SUBSETS = 100
FRECHET_MIN_IMAGES = 2048  # images of each set below which a Frechet distance is mostly bias
BLOCK = 1024  # rows that are worked on at a time
_RANK_TOLERANCE = 1e-12  # share of the largest eigenvalue below which a direction does not vary


def blocks(count: int, size: int = BLOCK) -> list[slice]:
    """Return slices that cover `count` rows, `size` at a time."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


# ── Kernel distance ─────────────────────────────────────────────────────────────────────────


def kid(real: np.ndarray, fake: np.ndarray) -> Estimate:
    """Return the kernel distance of features [m, D] and [n, D]; 0 is expected for two samples of one distribution.

    It is the unbiased squared MMD of the kernel (x.y / D + 1)^3, so it may fall below 0. Where both sets have more
    than 1,000 images it is the mean over 100 random subsets of 1,000, as published. Otherwise it is that of the whole
    sets. The interval, from the delete-one jackknife, says what other images of the same two kinds would give.
    """
    m = len(real)
    n = len(fake)
    if min(m, n) <= SUBSET:
        (value,), *variances = _mmd(real, fake, np.ones((m, 1)), np.ones((n, 1)))
        return normal_estimate(value, sum(variance[0] for variance in variances))
    rng = np.random.RandomState(2020)  # torch-fidelity's, so that the same features have the same KID there
    subsets = [[rng.choice(count, SUBSET, replace=False) for count in (m, n)] for _ in range(SUBSETS)]
    if m * m + m * n + n * n <= 3 * SUBSETS * SUBSET**2:  # less work than each subset by itself
        real_subsets, fake_subsets = zip(*subsets, strict=True)
        estimates = _mmd(real, fake, _membership(m, real_subsets), _membership(n, fake_subsets))
    else:
        ones = np.ones((SUBSET, 1))
        estimates = np.concatenate([_mmd(real[i], fake[j], ones, ones) for i, j in subsets], axis=1)
    values, real_variances, fake_variances = estimates
    # Subsets overlap, so their mean errs as the whole sets do, and their random choice adds its own variance.
    whole = real_variances.mean() * SUBSET / m + fake_variances.mean() * SUBSET / n
    return normal_estimate(values.mean(), whole + values.var(ddof=1) / SUBSETS)


def _membership(count: int, subsets: Sequence[np.ndarray]) -> np.ndarray:
    """Return float64[count, S]: 1 where an image is in a subset, 0 elsewhere; a subset is an array of positions."""
    members = np.zeros((count, len(subsets)))
    for i, positions in enumerate(subsets):
        members[positions, i] = 1
    return members


def _mmd(x: np.ndarray, y: np.ndarray, x_members: np.ndarray, y_members: np.ndarray) -> np.ndarray:
    """Return the unbiased squared MMD of S pairs of subsets, and its jackknife variances over x and y: float64[3, S].

    `x_members` [m, S] and `y_members` [n, S] are 1 for the images that are in each subset and 0 for the others.
    """
    m = x_members.sum(0)
    n = y_members.sum(0)
    within_x, _ = _kernel_sums(x, x, x_members, x_members)
    within_y, _ = _kernel_sums(y, y, y_members, y_members)
    across_x, across_y = _kernel_sums(x, y, x_members, y_members)
    within_x -= _kernel_diagonal(x)[:, None] * x_members
    within_y -= _kernel_diagonal(y)[:, None] * y_members
    across = across_x.sum(0)
    value = within_x.sum(0) / (m * (m - 1)) + within_y.sum(0) / (n * (n - 1)) - 2 * across / (m * n)
    x_variance = _jackknife_variance(within_x, across_x, across, n, x_members)
    y_variance = _jackknife_variance(within_y, across_y, across, m, y_members)
    return np.stack([value, x_variance, y_variance])


def _jackknife_variance(
    within: np.ndarray, across_rows: np.ndarray, across: np.ndarray, others: np.ndarray, members: np.ndarray
) -> np.ndarray:
    """Return the variance of the MMD over one set, float64[S]: each image is left out in turn.

    `within` [m, S] and `across_rows` [m, S] are an image's sums of the kernel over its own set and over the other set,
    `across` [S] is the sum over all pairs, `others` [S] the size of the other set.
    """
    m = members.sum(0)
    without = (within.sum(0) - 2 * within) / ((m - 1) * (m - 2)) - 2 * (across - across_rows) / ((m - 1) * others)
    mean = (without * members).sum(0) / m
    return (m - 1) * (np.square(without - mean) * members).sum(0) / m


def _kernel_sums(
    x: np.ndarray, y: np.ndarray, x_members: np.ndarray, y_members: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the kernel over subsets.

    Returns:
        For each image of x the sums over the subsets of y, float64[m, S], and for each image of y the sums over those
        of x, float64[n, S]; 0 where the image itself is not in the subset.
    """
    rows = np.zeros(x_members.shape)
    columns = np.zeros(y_members.shape)
    for j in blocks(len(y), 8 * BLOCK):
        transposed = y[j].astype(np.float64).T
        for i in blocks(len(x)):
            kernel = _kernel(x[i].astype(np.float64) @ transposed, x.shape[1])
            rows[i] += kernel @ y_members[j]
            columns[j] += kernel.T @ x_members[i]
    return rows * x_members, columns * y_members


def _kernel_diagonal(x: np.ndarray) -> np.ndarray:
    """Return the kernel of each image with itself, float64[m]."""
    lengths = [np.square(x[part].astype(np.float64)).sum(1) for part in blocks(len(x))]
    return _kernel(np.concatenate(lengths), x.shape[1])


def _kernel(products: np.ndarray, dimensions: int) -> np.ndarray:
    """Return the kernel of pairs of features whose inner products are given."""
    scaled = products / dimensions + 1
    return scaled * scaled * scaled


# ── Frechet distance ────────────────────────────────────────────────────────────────────────


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> Estimate:
    """Return the Frechet distance of the Gaussians of features [m, D] and [n, D], at least 0.

    |difference of means|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2 for the covariances A and B, of any rank. It is
    biased: above 0 for two samples of one distribution, and the more so the fewer images there are. Compare it only
    between equal numbers of images. The interval says what equal numbers of other images would give.
    """
    a = _fit_gaussian(real)
    b = _fit_gaussian(fake)
    # Where A = F'F and B = G'G, the last trace is the sum of the singular values of FG': no root of a product.
    left, singular, right = np.linalg.svd(a.factor @ b.factor.T, full_matrices=False)
    difference = a.mean - b.mean
    value = difference @ difference + np.square(a.factor).sum() + np.square(b.factor).sum() - 2 * singular.sum()
    variance = _influence_variance(real, a, difference, left * np.sqrt(singular))
    variance += _influence_variance(fake, b, -difference, right.T * np.sqrt(singular))
    return normal_estimate(max(value, 0.0), variance, lowest=0.0)


class _Gaussian(NamedTuple):
    """A Gaussian as mean [D] and factor [r, D], where covariance = factor' factor.

    `to_rows` [D, r] maps centred features [b, D] to their rows [b, r] of the factor's singular vectors; None where each
    image is a row of the factor.
    """

    mean: np.ndarray
    factor: np.ndarray
    to_rows: np.ndarray | None


def _fit_gaussian(x: np.ndarray) -> _Gaussian:
    """Return the Gaussian of features [n, D]; its factor has at most min(n, D) rows, so a small set needs no D x D."""
    count, dimensions = x.shape
    mean = sum(x[part].astype(np.float64).sum(0) for part in blocks(count)) / count
    if count <= dimensions:  # the centred images themselves, and each is its own row
        return _Gaussian(mean, (x.astype(np.float64) - mean) / math.sqrt(count - 1), None)
    covariance = np.zeros((dimensions, dimensions))
    for part in blocks(count):
        centred = x[part].astype(np.float64) - mean
        covariance += centred.T @ centred
    values, vectors = np.linalg.eigh(covariance / (count - 1))
    varying = values > max(values[-1], 0.0) * _RANK_TOLERANCE
    roots = np.sqrt(values[varying])
    vectors = vectors[:, varying]
    return _Gaussian(mean, roots[:, None] * vectors.T, vectors / roots / math.sqrt(count - 1))


def _influence_variance(x: np.ndarray, gaussian: _Gaussian, difference: np.ndarray, scaled: np.ndarray) -> float:
    """Return the variance of the distance over one set: of its change when one image weighs a little more.

    `difference` [D] is this set's mean minus the other's. `scaled` [r, q] are the singular vectors of this set times
    the roots of the singular values: the squares of each of its rows sum to what that row of the factor adds to the
    sum of singular values.
    """
    count = len(x)
    influence = np.zeros(count)
    for part in blocks(count):
        centred = x[part].astype(np.float64) - gaussian.mean
        rows = scaled[part] if gaussian.to_rows is None else centred @ gaussian.to_rows @ scaled
        mean_term = 2 * centred @ difference / count
        influence[part] = mean_term + np.square(centred).sum(1) / (count - 1) - np.square(rows).sum(1)
    return np.square(influence - influence.mean()).sum()
