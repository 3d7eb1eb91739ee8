"""The parts of a run's summary.json, and the writing of it."""

import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax

import logogan_jax
from logogan_jax.core import files
from logogan_jax.training.reporting.cost import Budget


def describe_speed(images: int, seconds: float, evaluation_seconds: float, seconds_before: float) -> dict[str, float]:
    """Return how long a run took and how fast it was.

    `images` are the real images that this process has trained on in `seconds`, of which the devices spent
    `evaluation_seconds` on evaluations. `seconds_before` is the time that earlier processes of the run took.
    """
    return {
        "seconds": seconds_before + seconds,
        "evaluation_seconds": evaluation_seconds,
        # Without evaluations: how often a run has them is no matter of its speed.
        "images_per_second": images / (seconds - evaluation_seconds),
    }


def describe_cost(budget: Budget) -> dict[str, dict[str, float]]:
    """Return {"cost": ...}, or {} without a price."""
    if not budget.price:
        return {}
    return {"cost": {"dollars": budget.spent(), "dollars_per_hour": budget.price}}


def read_dollars(workdir: pathlib.Path) -> float:
    """Return what the run of a folder had cost when it wrote its summary.json; 0 without a file or a price."""
    cost = files.read_object(workdir / "summary.json").get("cost") or {}
    return cost.get("dollars", 0.0)


def describe_environment(devices: Sequence[Any]) -> dict[str, Any]:
    """Return the numbers of processes and `jax.Device`s, the kind of device and the versions of the software."""
    return {
        "processes": jax.process_count(),
        "devices": len(devices),
        "device_kind": devices[0].device_kind,
        "versions": {
            "logogan_jax": logogan_jax.__version__,
            "python": platform.python_version(),
            "jax": jax.__version__,
        },
    }


def write(workdir: pathlib.Path, contents: Mapping[str, Any]) -> None:
    """Write summary.json in the folder of a run."""
    files.write_json(workdir / "summary.json", contents)
