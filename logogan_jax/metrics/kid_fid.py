"""How far two sets of features are apart: KID (Binkowski et al. 2018) and the Frechet distance (Heusel et al. 2017).

Everything is float64, whatever the features are, and works in blocks, so that 50,000 images fit in memory.
"""

import math
from typing import NamedTuple

import numpy as np

from logogan_jax.core.intervals import normal_estimate

SUBSET, SUBSETS = 1000, 100  # the published form of KID
FRECHET_MIN_IMAGES = 2048  # images of each set below which a Frechet distance is mostly the price of having few
BLOCK = 1024  # rows that are worked on at a time
_NOTHING = 1e-12  # share of the largest eigenvalue below which a direction does not vary


def blocks(count, size=BLOCK):
    """Slices that cover `count` rows, `size` at a time."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


# ── Kernel distance ─────────────────────────────────────────────────────────────────────────


def kid(real, fake):
    """Kernel distance of features [m, D] and [n, D] -> Estimate; 0 for two samples of one distribution.

    The squared MMD of the kernel (x.y / D + 1)^3, without bias, so it may fall below 0. Where both sets have more
    than 1,000 images it is the mean over 100 random subsets of 1,000, as published, and otherwise that of the whole
    sets. The interval is the delete-one jackknife's: what other images of the same two kinds would give.
    """
    m, n = len(real), len(fake)
    if min(m, n) <= SUBSET:
        (value,), *spread = _mmd(real, fake, np.ones((m, 1)), np.ones((n, 1)))
        return normal_estimate(value, sum(part[0] for part in spread))
    draw = np.random.RandomState(2020)  # torch-fidelity's, so that the same features have the same KID there
    draws = [[draw.choice(count, SUBSET, replace=False) for count in (m, n)] for _ in range(SUBSETS)]
    if m * m + m * n + n * n <= 3 * SUBSETS * SUBSET**2:  # less work than each subset by itself
        of_real, of_fake = zip(*draws, strict=True)
        found = _mmd(real, fake, _members(m, of_real), _members(n, of_fake))
    else:
        ones = np.ones((SUBSET, 1))
        found = np.concatenate([_mmd(real[i], fake[j], ones, ones) for i, j in draws], axis=1)
    values, real_spread, fake_spread = found
    # The subsets share the images of the whole sets, whose error shrinks with their number, and add that of their draw.
    whole = real_spread.mean() * SUBSET / m + fake_spread.mean() * SUBSET / n
    return normal_estimate(values.mean(), whole + values.var(ddof=1) / SUBSETS)


def _members(count, drawn):
    """Which of `count` images are in each of S subsets: float64[count, S]."""
    members = np.zeros((count, len(drawn)))
    for number, positions in enumerate(drawn):
        members[positions, number] = 1
    return members


def _mmd(x, y, of_x, of_y):
    """The unbiased squared MMD of S pairs of subsets, its jackknife variance over x, and over y: float64[3, S].

    `of_x` [m, S] and `of_y` [n, S] are 1 for the images that are in each subset and 0 for the others.
    """
    m, n = of_x.sum(0), of_y.sum(0)
    within_x, _ = _kernel_sums(x, x, of_x, of_x)
    within_y, _ = _kernel_sums(y, y, of_y, of_y)
    across_x, across_y = _kernel_sums(x, y, of_x, of_y)
    within_x -= _kernel_of_itself(x)[:, None] * of_x
    within_y -= _kernel_of_itself(y)[:, None] * of_y
    across = across_x.sum(0)
    value = within_x.sum(0) / (m * (m - 1)) + within_y.sum(0) / (n * (n - 1)) - 2 * across / (m * n)
    spread_x = _jackknife(within_x, across_x, across, n, of_x)
    return np.stack([value, spread_x, _jackknife(within_y, across_y, across, m, of_y)])


def _jackknife(within, across_rows, across, others, members):
    """Variance of the MMD over one set: each image left out in turn, from its sums of the kernel."""
    m = members.sum(0)
    without = (within.sum(0) - 2 * within) / ((m - 1) * (m - 2)) - 2 * (across - across_rows) / ((m - 1) * others)
    middle = (without * members).sum(0) / m
    return (m - 1) * (np.square(without - middle) * members).sum(0) / m


def _kernel_sums(x, y, of_x, of_y):
    """Sums of the kernel over each subset of y, for its images of x [m, S], and over x, for its images of y [n, S]."""
    rows, columns = np.zeros(of_x.shape), np.zeros(of_y.shape)
    for j in blocks(len(y), 8 * BLOCK):
        transposed = y[j].astype(np.float64).T
        for i in blocks(len(x)):
            kernel = _kernel(x[i].astype(np.float64) @ transposed, x.shape[1])
            rows[i] += kernel @ of_y[j]
            columns[j] += kernel.T @ of_x[i]
    return rows * of_x, columns * of_y


def _kernel_of_itself(x):
    lengths = [np.square(x[part].astype(np.float64)).sum(1) for part in blocks(len(x))]
    return _kernel(np.concatenate(lengths), x.shape[1])


def _kernel(products, dimensions):
    scaled = products / dimensions + 1
    return scaled * scaled * scaled


# ── Frechet distance ────────────────────────────────────────────────────────────────────────


def frechet_distance(real, fake):
    """Frechet distance of the Gaussians of features [m, D] and [n, D] -> Estimate, at least 0.

    |difference of means|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2 for the covariances A and B, of any rank. It is
    biased: above 0 for two samples of one distribution, the more so the fewer they are. Compare it only between
    equal numbers of images. The interval says what other images, as many, would give.
    """
    one, other = _gaussian(real), _gaussian(fake)
    # Where A = F'F and B = G'G, the last trace is the sum of the singular values of FG': no root of a product.
    left, common, right = np.linalg.svd(one.factor @ other.factor.T, full_matrices=False)
    between = one.mean - other.mean
    value = between @ between + np.square(one.factor).sum() + np.square(other.factor).sum() - 2 * common.sum()
    variance = _influence(real, one, between, left * np.sqrt(common))
    variance += _influence(fake, other, -between, right.T * np.sqrt(common))
    return normal_estimate(max(value, 0.0), variance, lowest=0.0)


class _Gaussian(NamedTuple):
    """Mean [D], factor [r, D] with covariance = factor' factor, and how centred rows [b, D] become its rows [b, r]."""

    mean: np.ndarray
    factor: np.ndarray
    to_rows: np.ndarray | None


def _gaussian(x):
    count, dimensions = x.shape
    mean = sum(x[part].astype(np.float64).sum(0) for part in blocks(count)) / count
    if count <= dimensions:  # the centred images themselves, and each is its own row
        return _Gaussian(mean, (x.astype(np.float64) - mean) / math.sqrt(count - 1), None)
    covariance = np.zeros((dimensions, dimensions))
    for part in blocks(count):
        centred = x[part].astype(np.float64) - mean
        covariance += centred.T @ centred
    values, vectors = np.linalg.eigh(covariance / (count - 1))
    kept = values > max(values[-1], 0.0) * _NOTHING
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return _Gaussian(mean, roots[:, None] * vectors.T, vectors / roots / math.sqrt(count - 1))


def _influence(x, gaussian, between, shared):
    """Variance of the distance over one set: how much each image, given a little more weight, moves it.

    `shared` [r, q] are the singular vectors of this set times the roots of the singular values: its rows' squares
    sum to what each row of the factor adds to the sum of singular values.
    """
    count = len(x)
    moved = np.zeros(count)
    for part in blocks(count):
        centred = x[part].astype(np.float64) - gaussian.mean
        rows = shared[part] if gaussian.to_rows is None else centred @ gaussian.to_rows @ shared
        moved[part] = 2 * centred @ between / count + np.square(centred).sum(1) / (count - 1) - np.square(rows).sum(1)
    return np.square(moved - moved.mean()).sum()
