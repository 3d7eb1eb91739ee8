"""What is known of a run's health while it goes on: evaluations under way, the best so far, signs of dying."""

import concurrent.futures
from typing import NamedTuple

import numpy as np

from logogan_jax.distributed import multihost
from logogan_jax.metrics import evaluator
from logogan_jax.training import divergence


class _Pending(NamedTuple):
    step: int
    sheet: np.ndarray
    seconds: float
    estimates: concurrent.futures.Future


class Watch:
    """Evaluates a run, reads the result at its next log line, and judges the lines.

    The devices draw and look at the pictures between two steps; the arithmetic after that is done by
    a thread beside the steps. Its result counts from a fixed step on, not from when it was ready, so
    that what the guard does depends on no clock. Without an Evaluator only the log is judged.
    `seconds` are those that the devices have spent on evaluations.
    """

    def __init__(self, measure, reporter, *, period, best, largest_gap):
        self._measure, self._reporter, self._period, self._best = measure, reporter, period, best
        self._kid = f"evaluation/{measure.kid}" if measure else ""
        self._largest_gap, self._pending, self.seconds = largest_gap, None, 0.0
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="evaluation")

    def due(self, step, last):
        """Whether the state of a step is to be measured: every so many steps, and the last."""
        return self._measure is not None and step > 0 and (step % self._period == 0 or step == last)

    def owes(self, step, last):
        """Whether the state of a step was to be measured by a run that ended before it could say how."""
        return self.due(step, last) and not any(line["step"] == step for line in self._looks())

    def begin(self, step, state, sheet):
        """Measure a state -> seconds that the devices were at it; `sheet` are its pictures uint8[n, S, S, C]."""
        found, seconds = self._measure.embed_samples(state)
        self.seconds += seconds
        self._pending = _Pending(step, sheet, seconds, self._thread.submit(self._measure.measure, found))
        return seconds

    def collect(self):
        """Log what was measured last, if anything was; the best so far is drawn as samples/best.png."""
        if self._pending is None:
            return
        step, sheet, seconds, estimates = self._pending
        self._pending = None
        # One process's arithmetic counts for all: another's may differ in the last bit.
        self._reporter.write_scalars(
            step, multihost.run_on_primary(lambda: evaluator.to_log_scalars(estimates.result(), seconds))
        )
        if self.best()["step"] == step:
            self._reporter.write_image_grid(step, "samples/best", sheet)

    def best(self):
        """The log line of the best state so far, or None."""
        return divergence.best(self._reporter.lines, self._kid)

    def best_steps(self):
        """Steps of the best states so far, whose checkpoints are worth keeping."""
        return [line["step"] for line in sorted(self._looks(), key=lambda line: line[self._kid])[: self._best]]

    def signs(self):
        """Signs of dying that the log gives now."""
        return divergence.signs(self._reporter.lines, kid=self._kid, largest_gap=self._largest_gap)

    def summary(self):
        """{"best": {"step", kid: {"value", "low", "high"}}} for a run's summary, or {}."""
        line = self.best()
        if line is None:
            return {}
        kid = self._kid
        estimate = {"value": line[kid], "low": line[f"{kid}_low"], "high": line[f"{kid}_high"]}
        return {"best": {"step": line["step"], self._measure.kid: estimate}}

    def forget(self):
        """Drop what is under way: the run has gone back."""
        self._pending = None

    def close(self):
        """Stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _looks(self):
        return [line for line in self._reporter.lines if self._kid in line]
