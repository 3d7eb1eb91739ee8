"""Numbers with their 95 % confidence intervals."""

import math
from typing import NamedTuple

import numpy as np

Z95 = 1.96  # standard errors on either side of a value, for 95 % of a normal distribution


class Estimate(NamedTuple):
    """A measured number and the ends of its 95 % interval, NaN where there is none."""

    value: float
    low: float
    high: float


def normal_estimate(value: float, variance: float, lowest: float = -math.inf) -> Estimate:
    """Return the Estimate of a value whose error is about normal with a variance; no end lies below `lowest`."""
    reach = Z95 * math.sqrt(variance)
    return Estimate(float(value), float(max(value - reach, lowest)), float(value + reach))


def wilson_estimate(share: float, variance: float, count: int) -> Estimate:
    """Return the Estimate of a share in [0, 1] of `count` points whose error has a variance.

    Wilson's interval for as many independent points as would have that variance, at most `count`.
    A variance of 0 stands for independent points.
    """
    binomial = share * (1 - share)
    effective = min(count, binomial / variance) if binomial and variance else count
    square = Z95**2 / effective
    middle = (share + square / 2) / (1 + square)
    reach = math.sqrt(square * (binomial + square / 4)) / (1 + square)
    return Estimate(float(share), float(max(middle - reach, 0.0)), float(min(middle + reach, 1.0)))


def proportion(flags: np.ndarray) -> Estimate:
    """Return the Estimate of the share of independent flags bool[n] that are true."""
    return wilson_estimate(float(np.mean(flags)), 0.0, len(flags))
