"""The numbers of an evaluation as lines of text."""

import math
from collections.abc import Sequence
from typing import Any

from logogan_jax.metrics import compute, kid_fid, overfitting
from logogan_jax.metrics.features import FeatureNetwork

Column = dict[str, Any]  # {"n", "n_against", "against_sha256", metric: {"value", "low", "high"}}


def format_table(columns: dict[str, Column], networks: Sequence[FeatureNetwork]) -> str:
    """Return the columns as lines of text, one for each metric."""
    rows = [("", list(columns))]
    rows.append(("images", [f"{column['n']:,} against {column['n_against']:,}" for column in columns.values()]))
    for name in [compute.metric_name(metric, network.name) for network in networks for metric in compute.METRICS]:
        rows.append((name, [_format_estimate(column[name]) for column in columns.values()]))
    return "\n".join(f"{name:22}" + "".join(f"{cell:>32}" for cell in cells) for name, cells in rows)


def small_sample_warning(columns: dict[str, Column], networks: Sequence[FeatureNetwork]) -> str:
    """Return a line that warns of a biased Frechet distance, or "" where no column has few images."""
    fewest = min(min(column["n"], column["n_against"]) for column in columns.values())
    few = kid_fid.FRECHET_MIN_IMAGES
    if fewest >= few:
        return ""
    names = " and ".join(compute.metric_name("fd", network.name) for network in networks)
    grow = "grows" if len(networks) == 1 else "grow"
    return f"{names} {grow} where images are few ({fewest:,} here, below {few:,}): compare at the same numbers only."


def format_copies(copies: dict[str, Any]) -> str:
    """Return the numbers of find_copies as one line."""
    share = copies["share"]
    return (
        f"copies of training images: {copies['count']:,} of {copies['n']:,}, {share['value']:.1%} "
        f"({share['low']:.1%} to {share['high']:.1%}), where {copies['false_alarm_rate']:.1%} of new logos would "
        f"count as such; the closest are in copies.html"
    )


def format_critic(critic: dict[str, Any]) -> str:
    """Return how far the critic overfits as one line."""
    found = critic["overfitting"]
    if not math.isfinite(found["value"]):
        return "overfitting of the critic: it does not tell training images from pictures"
    advice = f": {overfitting.ADVICE}" if found["low"] > overfitting.MUCH else ""
    return (
        f"overfitting of the critic: {_format_estimate(found)}; at 0 it takes new images for real ones, at 1 for "
        f"pictures of the generator{advice}"
    )


def _format_estimate(estimate: dict[str, float]) -> str:
    if not math.isfinite(estimate["value"]):
        return "-"
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"
