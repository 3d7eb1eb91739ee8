"""What a Training's step costs, by the very programs and the loop that train."""

import contextlib
import tempfile
import time

import jax
from jax.experimental.compilation_cache import compilation_cache

from logogan_jax.benchmark import stopwatch
from logogan_jax.training import cpu_estimate, flops
from logogan_jax.training.step_runner import Dispatch

FORMULA = "2 x multiply-adds of every product and convolution of a step x steps/s"
PROFILED = 3  # dispatches in a trace
# Sides of square products, of which the fastest is what a chip can do.
SIDES = {"cpu": (1024, 2048)}
LARGE = (4096, 8192, 16384)


class Steps:
    """The steps of a Training, run as its loop runs them: one ahead of the devices, a dispatch a turn."""

    def __init__(self, made, say):
        self._made, self._state, self._number = made, made.state, 0
        self._dispatch = Dispatch(made.program, say)
        self._feed = made.source.at(0, made.per_dispatch)  # stays on the devices

    def compiling(self, program):
        """Seconds of tracing, and of compiling with an empty and with a warm persistent cache.

        `program` is another of the same, to be traced and compiled once more.
        """
        with _empty_cache():
            cold = self._prepared(self._dispatch)
            warm = self._prepared(Dispatch(program, lambda _: None))
        return {"tracing": cold.tracing, "compiling_cold": cold.compiling, "compiling_warm": warm.compiling}

    def flops(self):
        """Floating-point operations of one step."""
        count = self._made.per_dispatch
        return flops.of(self._made.program(count), self._state, self._feed) / count

    def fed(self, turns):
        """(steps done, seconds until their result was there) with feeds from the source."""
        return self._run(turns, self._next)

    def constant(self, turns):
        """The same with one feed that is on the devices."""
        return self._run(turns, lambda: self._feed)

    def peak_memory(self, device, before):
        """(bytes that a device held at most, who says so), if it had held so many `before`."""
        peak = peak_bytes(device)
        if peak > before:
            return peak, "the device's own count"
        found = self._prepared(self._dispatch).run.memory_analysis()
        ends = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
        return ends + found.temp_size_in_bytes, "the compiler's count: arguments, results and what lies between"

    def profile(self, folder):
        """Write a trace of a few dispatches into a folder."""
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            self.fed(PROFILED)

    def _prepared(self, dispatch):
        return dispatch.prepared(self._made.per_dispatch, self._state, self._feed)

    def _next(self):
        feed = self._made.source.at(self._number, self._made.per_dispatch)
        self._number += self._made.per_dispatch
        return feed

    def _run(self, turns, feed):
        count, began = self._made.per_dispatch, time.perf_counter()
        with jax.transfer_guard("disallow"):
            for _ in range(turns):
                self._state, metrics = self._dispatch(count, self._state, feed())
            jax.block_until_ready((self._state, metrics))
        return turns * count, time.perf_counter() - began


def paces(steps, peers, *, repeats, seconds):
    """Pace of the steps, share of the time that the devices wait for input, Paces of the peers: all in turn."""
    runners = [steps.fed, steps.constant, *peers]
    fed, constant, *others = stopwatch.in_turn(runners, repeats=repeats, seconds=seconds)
    return fed, 1 - fed.median / constant.median, others


def peak_bytes(device):
    """The most bytes that a device has held in this process; 0 where it does not tell."""
    return (device.memory_stats() or {}).get("peak_bytes_in_use", 0)


def largest_rate(dtype, device):
    """(floating-point operations a second of large square products, the side of the fastest) on one device."""
    limit = (device.memory_stats() or {}).get("bytes_limit", 16 << 30)
    # Up to twenty results may wait to be let go.
    sides = [side for side in SIDES.get(device.platform, LARGE) if 80 * side**2 <= limit] or [cpu_estimate.TILE]
    rates = {}
    for side in sides:
        once = 2 * side**3 / cpu_estimate.product_rate(side, dtype, device, calls=1)
        calls = max(2, min(20, round(0.5 / once)))
        rates[side] = max(cpu_estimate.product_rate(side, dtype, device, calls=calls) for _ in range(3))
    side = max(rates, key=rates.get)
    return rates[side], side


@contextlib.contextmanager
def _empty_cache():
    """Meanwhile compiled programs are kept in a new folder, whatever the time that they take to compile."""
    values = {"jax_enable_compilation_cache": True, "jax_persistent_cache_min_compile_time_secs": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        values["jax_compilation_cache_dir"] = folder
        before = {name: getattr(jax.config, name) for name in values}
        try:
            _update(values)
            yield
        finally:
            _update(before)


def _update(values):
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
