"""Compiled programs of several steps, run one ahead of the devices."""

import time
from typing import NamedTuple

import jax

from logogan_jax.core import timing
from logogan_jax.training import cpu_estimate, flops

QUICK = "python -m logogan_jax.main --config=configs/quickstart.py"


class Prepared(NamedTuple):
    """A compiled program, and the seconds that tracing it and compiling it took."""

    run: jax.stages.Compiled
    tracing: float
    compiling: float


class Dispatch:
    """Runs programs by number of steps; the first of each size is compiled, which `say` is told.

    `program(count)` is a compile-ready function of (state, feed); `done` counts the steps run. A CPU says
    how long `steps` will take, if it is told how many.
    """

    def __init__(self, program, say, steps=0):
        self._program, self._say, self._steps = program, say, steps
        self._prepared, self._before, self.done = {}, None, 0

    def __call__(self, count, state, feed):
        """(state, metrics) after `count` steps."""
        result = self.prepared(count, state, feed).run(state, feed)
        # The host stays at most one dispatch ahead, so that a request to stop is heard at once.
        jax.block_until_ready(self._before)
        self._before = result[1]
        self.done += count
        return result

    def prepared(self, count, state, feed):
        """The Prepared program of `count` steps for arrays like these, which it leaves as they are."""
        if count not in self._prepared:
            self._prepared[count] = self._prepare(count, state, feed)
        return self._prepared[count]

    def _prepare(self, count, state, feed):
        began, program = time.perf_counter(), self._program(count)
        lowered = program.lower(state, feed)
        tracing = time.perf_counter() - began
        if self._steps and not self._prepared and jax.default_backend() == "cpu":
            with jax.transfer_guard("allow"):
                total = cpu_estimate.seconds(flops.of(program, state, feed) / count) * self._steps
            hint = f" Logos in minutes: {QUICK}" if total > 3600 else ""
            self._say(f"On this CPU {self._steps:,} steps should take about {timing.format_duration(total)}.{hint}")
        began = time.perf_counter()
        compiled = lowered.compile()
        compiling = time.perf_counter() - began
        self._say(f"Compiled in {timing.format_duration(compiling)}.")
        return Prepared(compiled, tracing, compiling)
