"""Compiled programs of several steps, run one ahead of the devices."""

import time

import jax

from logogan_jax import clock, estimate

QUICK = "python -m logogan_jax.main --config=configs/quickstart.py"


class Dispatch:
    """Runs programs by number of steps; the first of each size is compiled, which `say` is told.

    `program(count)` is a compile-ready function of (state, feed); `done` counts the steps run. A CPU says
    how long `steps` will take.
    """

    def __init__(self, program, say, steps):
        self._program, self._say, self._steps = program, say, steps
        self._compiled, self._before, self.done = {}, None, 0

    def __call__(self, count, state, feed):
        """(state, metrics) after `count` steps."""
        if count not in self._compiled:
            self._compiled[count] = self._compile(count, state, feed)
        result = self._compiled[count](state, feed)
        # The host stays at most one dispatch ahead, so that a request to stop is heard at once.
        jax.block_until_ready(self._before)
        self._before = result[1]
        self.done += count
        return result

    def _compile(self, count, state, feed):
        lowered = self._program(count).lower(state, feed)
        if jax.default_backend() == "cpu" and not self._compiled:
            with jax.transfer_guard("allow"):
                seconds = estimate.seconds(lowered.cost_analysis()["flops"] / count)
            total = seconds * self._steps
            hint = f" Logos in minutes: {QUICK}" if total > 3600 else ""
            self._say(f"On this CPU {self._steps:,} steps should take about {clock.spoken(total)}.{hint}")
        began = time.perf_counter()
        compiled = lowered.compile()
        self._say(f"Compiled in {clock.spoken(time.perf_counter() - began)}.")
        return compiled
