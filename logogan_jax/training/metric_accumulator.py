"""Metrics of the steps since the last log line, kept on the devices until somebody asks."""

import math
from typing import NamedTuple

import jax
import numpy as np

from logogan_jax.training.metric_rows import MetricRows

GRADIENT = "/gradient/"  # in the name of one leaf's gradient norm: player/gradient/network/leaf


class NonFinite(NamedTuple):
    """A number of a run that is not finite: the step, its name player/tensor, and the value."""

    step: int
    name: str
    value: float

    def __str__(self) -> str:
        player, tensor = self.name.split("/", 1)
        return f"step {self.step}: {tensor} of the {player} is {self.value}"


class MetricAccumulator:
    """Collects the metrics of each dispatch, and finds the first number that is not finite."""

    def __init__(self):
        self._on_devices: list[tuple[int, MetricRows]] = []
        self._fetched: list[dict[str, float]] = []

    def add(self, step: int, metrics: MetricRows) -> None:
        """Keep the metrics of a dispatch that ended with `step`."""
        # To read them here would wait for the devices at every dispatch.
        self._on_devices.append((step, metrics))

    def fetch(self) -> NonFinite | None:
        """Bring the metrics to the host; return the first number that is not finite, after which none counts."""
        # All at once: each transfer on its own would wait for the devices again.
        dispatches = jax.device_get(self._on_devices)
        self._on_devices = []
        for last, metrics in dispatches:
            steps = metrics.by_step()
            for step, values in enumerate(steps, last - len(steps) + 1):
                bad = first_non_finite(step, values)
                # The steps after it are computed from numbers that are not finite: their means would say nothing.
                if bad:
                    return bad
                self._fetched.append(values)
        return None

    def mean(self) -> dict[str, float]:
        """Return the means of what was fetched since the last call."""
        steps = self._fetched
        self._fetched = []
        return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]} if steps else {}

    def clear(self) -> None:
        """Forget everything: the run goes back to an earlier step."""
        self._on_devices = []
        self._fetched = []


def first_non_finite(step: int, values: dict[str, float]) -> NonFinite | None:
    """Return the number of a step that is not finite, if there is one."""
    # Losses before gradients: a loss that is not finite explains every gradient after it.
    names = [name for name, value in values.items() if not math.isfinite(value)]
    first = min(names, key=lambda name: GRADIENT in name, default=None)
    return NonFinite(step, first, values[first]) if first else None


def join_gradient_norms(values: dict[str, float]) -> dict[str, float]:
    """Join the gradient norms of a network's leaves to one: player/gradient_norm/network."""
    joined = {name: value for name, value in values.items() if GRADIENT not in name}
    for name, value in values.items():
        if GRADIENT in name:
            player, _, network, _ = name.split("/", 3)
            total = f"{player}/gradient_norm/{network}"
            # The norm of the whole is the root of the sum of the squared norms of its parts.
            joined[total] = math.hypot(joined.get(total, 0.0), value)
    return joined
