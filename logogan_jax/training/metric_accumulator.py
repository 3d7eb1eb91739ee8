"""Numbers of the steps since the last log line, kept on the device until somebody asks."""

import math
from typing import NamedTuple

import jax
import numpy as np

GRADIENT = "/gradient/"  # in the name of one leaf's gradient norm: player/gradient/network/leaf


class Broken(NamedTuple):
    """The first number of a run that is not finite: `name` is player/tensor."""

    step: int
    name: str
    value: float

    def __str__(self):
        player, tensor = self.name.split("/", 1)
        return f"step {self.step}: {tensor} of the {player} is {self.value}"


class Meter:
    """Collects metrics, float32[count] by name and dispatch; finds the first number that is not finite."""

    def __init__(self):
        self._waiting, self._settled = [], []

    def add(self, first, metrics):
        """Keep the metrics of the steps that follow step `first`."""
        self._waiting.append((first, metrics))

    def settle(self):
        """Fetch what is waiting -> the first Broken number, after which nothing counts, or None."""
        waiting, self._waiting = jax.device_get(self._waiting), []
        for first, metrics in waiting:
            for i in range(len(next(iter(metrics.values())))):
                values = {name: float(value[i]) for name, value in metrics.items()}
                found = broken(first + i + 1, values)
                if found:
                    return found
                self._settled.append(values)
        return None

    def read(self):
        """Means of what has settled since the last reading; gradients as one norm per player and network."""
        steps, self._settled = self._settled, []
        return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]} if steps else {}


def broken(step, values):
    """The number of a step that is not finite, or None: {name: float} -> Broken."""
    # Losses before gradients: a loss that is not finite explains every gradient after it.
    names = [name for name, value in values.items() if not math.isfinite(value)]
    first = min(names, key=lambda name: GRADIENT in name, default=None)
    return Broken(step, first, values[first]) if first else None


def summed(values):
    """Log values with each network's gradient leaves joined to one norm: player/gradient_norm/network."""
    joined = {name: value for name, value in values.items() if GRADIENT not in name}
    for name, value in values.items():
        if GRADIENT in name:
            player, _, network, _ = name.split("/", 3)
            total = f"{player}/gradient_norm/{network}"
            joined[total] = math.hypot(joined.get(total, 0.0), value)
    return joined
