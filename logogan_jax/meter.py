"""Numbers of the steps since the last log line, kept on the device until somebody asks."""

import math

import jax
import numpy as np

from logogan_jax.errors import UserError

GRADIENT = "/gradient/"  # in the name of one leaf's gradient norm: player/gradient/network/leaf


class Meter:
    """Collects metrics, float32[count] by name and dispatch; names the first number that is not finite."""

    def __init__(self):
        self._waiting, self._settled = [], []

    def add(self, first, metrics):
        """Keep the metrics of the steps that follow step `first`."""
        self._waiting.append((first, metrics))

    def settle(self, advice):
        """Fetch what is waiting; a number that is not finite is a UserError with the step, player and tensor."""
        for first, metrics in jax.device_get(self._waiting):
            for i in range(len(next(iter(metrics.values())))):
                values = {name: float(value[i]) for name, value in metrics.items()}
                _refuse_nonfinite(first + i + 1, values, advice)
                self._settled.append(values)
        self._waiting.clear()

    def read(self):
        """Means of what has settled since the last reading; gradients as one norm per player and network."""
        steps, self._settled = self._settled, []
        return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]} if steps else {}


def _refuse_nonfinite(step, values, advice):
    # Losses before gradients: a loss that is not finite explains every gradient after it.
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        first = min(broken, key=lambda name: GRADIENT in name)
        player, tensor = first.split("/", 1)
        raise UserError(f"step {step}: {tensor} of the {player} is {values[first]}: training has diverged. {advice}")


def summed(values):
    """Log values with each network's gradient leaves joined to one norm: player/gradient_norm/network."""
    joined = {name: value for name, value in values.items() if GRADIENT not in name}
    for name, value in values.items():
        if GRADIENT in name:
            player, _, network, _ = name.split("/", 3)
            total = f"{player}/gradient_norm/{network}"
            joined[total] = math.hypot(joined.get(total, 0.0), value)
    return joined
