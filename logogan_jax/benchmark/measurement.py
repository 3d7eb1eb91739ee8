"""The cost of a train step, measured with the programs and the loop that train."""

import contextlib
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from logogan_jax.benchmark import stopwatch
from logogan_jax.config.build_training import Training
from logogan_jax.plan import estimate
from logogan_jax.training import cpu_estimate, flops
from logogan_jax.training.step_runner import CompiledStep

FORMULA = "2 x multiply-adds of every product and convolution of a step x steps/s"
PROFILED = 3  # dispatches in a trace
# Sides of square products, of which the fastest is what a chip can do.
SIDES = {"cpu": (1024, 2048)}
LARGE = (4096, 8192, 16384)


class TrainingSteps:
    """The steps of a Training, run as its loop runs them: one dispatch ahead of the devices."""

    def __init__(self, training: Training):
        self._training = training
        self._runner = training.runner
        self._count = training.runner.steps_per_dispatch
        self._state = training.state
        self._step = 0
        self._last_metrics: Any = None
        self._feed = self._runner.source.at(0, self._count)  # stays on the devices

    def compile_seconds(self) -> dict[str, float]:
        """Return the seconds of tracing, and of compiling with an empty and with a warm persistent cache."""
        with _empty_cache():
            cold = self._compile()
            self._runner.discard_compiled()
            warm = self._compile()
        return {"tracing": cold.tracing, "compiling_cold": cold.compiling, "compiling_warm": warm.compiling}

    def flops(self) -> float:
        """Return the floating-point operations of one step."""
        return flops.count_flops(self._runner.program(self._count), self._state, self._feed) / self._count

    def predicted_seconds(self) -> float | None:
        """Return what `logogan_jax.plan` predicts for a step here; None for kinds of devices that it does not know."""
        devices = self._training.parallel.devices
        text = self._compile().run.as_text() or ""
        kind = devices[0].device_kind
        return estimate.step_seconds(text, kind, steps=self._count, devices=len(devices))

    def run(self, dispatches: int) -> tuple[int, float]:
        """Run dispatches with feeds from the source; return steps and seconds until their result was there."""
        return self._run(dispatches, self._next_feed)

    def run_on_one_feed(self, dispatches: int) -> tuple[int, float]:
        """Run dispatches with one feed that is on the devices, as `run` does."""
        return self._run(dispatches, lambda: self._feed)

    def peak_memory(self, device: Any, before: int) -> tuple[int, str]:
        """Return the most bytes that a jax.Device has held during the steps, and who counted them.

        `before` is the peak before the steps: the device's own count is used where it has risen since.
        """
        peak = peak_bytes(device)
        if peak > before:
            return peak, "the device's own count"
        memory = self._compile().run.memory_analysis()
        assert memory is not None, "compilers of all platforms count the memory of a program"
        arguments_and_results = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
        return (
            arguments_and_results + memory.temp_size_in_bytes,
            "the compiler's count: arguments, results and what lies between",
        )

    def profile(self, folder: str) -> None:
        """Write a trace of a few dispatches into a folder."""
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            self.run(PROFILED)

    def _compile(self) -> CompiledStep:
        return self._runner.compile(self._state, 0, self._count)

    def _next_feed(self) -> Any:
        feed = self._runner.source.at(self._step, self._count)
        self._step += self._count
        return feed

    def _run(self, dispatches: int, next_feed: Callable[[], Any]) -> tuple[int, float]:
        program = self._compile().run
        began = time.perf_counter()
        with jax.transfer_guard("disallow"):
            for _ in range(dispatches):
                self._state, metrics = program(self._state, next_feed())
                jax.block_until_ready(self._last_metrics)
                self._last_metrics = metrics
            jax.block_until_ready((self._state, self._last_metrics))
        return dispatches * self._count, time.perf_counter() - began


def paces(
    steps: TrainingSteps, peers: Sequence[stopwatch.Runner], *, repeats: int, seconds: float
) -> tuple[stopwatch.Pace, float, list[stopwatch.Pace]]:
    """Time the steps and the peers in turn.

    Returns:
        The Pace of the steps, the share of the time that the devices wait for input, and the Paces of the peers.
    """
    runners = [steps.run, steps.run_on_one_feed, *peers]
    fed, constant, *others = stopwatch.in_turn(runners, repeats=repeats, seconds=seconds)
    return fed, 1 - fed.median / constant.median, others


def peak_bytes(device: Any) -> int:
    """Return the most bytes that a jax.Device has held in this process; 0 where it does not count them."""
    return (device.memory_stats() or {}).get("peak_bytes_in_use", 0)


@functools.cache  # no row of a command has another
def largest_rate(dtype: str, device: Any) -> tuple[float, int]:
    """Return the operations a second of the fastest large square product on a jax.Device, and the side of that."""
    limit = (device.memory_stats() or {}).get("bytes_limit", 16 << 30)
    # Up to twenty results of four bytes a number may be in memory at once.
    sides = [side for side in SIDES.get(device.platform, LARGE) if 80 * side**2 <= limit] or [cpu_estimate.TILE]
    rates = {}
    for side in sides:
        once = 2 * side**3 / cpu_estimate.product_rate(side, dtype, device, calls=1)
        calls = max(2, min(20, round(0.5 / once)))
        rates[side] = max(cpu_estimate.product_rate(side, dtype, device, calls=calls) for _ in range(3))
    side = max(rates, key=lambda side: rates[side])
    return rates[side], side


@contextlib.contextmanager
def _empty_cache() -> Iterator[None]:
    """Keep every compiled program in a new, empty folder within the block, however fast it compiles."""
    values = {"jax_enable_compilation_cache": True, "jax_persistent_cache_min_compile_time_secs": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        values["jax_compilation_cache_dir"] = folder
        before = {name: getattr(jax.config, name) for name in values}
        try:
            _update(values)
            yield
        finally:
            _update(before)


def _update(values: dict[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
