"""Evaluations of a run while it trains, the best state so far, and the symptoms that the log shows."""

import concurrent.futures
from typing import Any, NamedTuple

import jax
import numpy as np

from logogan_jax.distributed import multihost
from logogan_jax.metrics import evaluator as evaluators
from logogan_jax.metrics.evaluator import Evaluator
from logogan_jax.training import divergence
from logogan_jax.training.divergence import Line, Symptom
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.train_state import TrainState


class _Pending(NamedTuple):
    step: int
    pixels: np.ndarray
    seconds: float
    estimates: concurrent.futures.Future


class EvaluationMonitor:
    """Evaluates a run, logs the result at the next step where something is due, and judges the log.

    The devices draw pictures and embed them between two steps; a thread does the arithmetic after that, beside the
    steps. Its result counts from a fixed step on, not from when it was ready, so that what is done about a run
    depends on no clock. Without an evaluator the log alone is judged.

    Attributes:
        seconds: seconds that the devices have spent on evaluations.
    """

    def __init__(self, evaluator: Evaluator | None, writer: RunWriter, *, keep_best: int, max_score_gap: float):
        self.seconds = 0.0
        self._evaluator = evaluator
        self._writer = writer
        self._keep_best = keep_best
        self._max_score_gap = max_score_gap
        # The name tells the feature network, so that values of two networks are never compared.
        self._kid = f"evaluation/{evaluator.kid}" if evaluator else ""
        self._pending: _Pending | None = None
        # One thread is enough: the loop logs an evaluation before it starts the next one.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="evaluation")

    def measured(self, step: int) -> bool:
        """Return whether the log has the evaluation of a step."""
        return any(line["step"] == step for line in self._evaluations())

    def start(self, step: int, state: TrainState, pixels: jax.Array) -> float:
        """Evaluate a state.

        Args:
            step: the step of the state.
            state: the state, which is only read.
            pixels: the pictures that the run always draws, uint8[n, H, W, C]: samples/best.png if this is the best.

        Returns:
            Seconds that the devices were at it.
        """
        assert self._evaluator is not None, "no evaluation is due without an evaluator"
        seen, seconds = self._evaluator.observe(state)
        self.seconds += seconds
        estimates = self._thread.submit(self._evaluator.measure, seen)
        # Copied to the host now, so that the devices need not keep the pictures until the result is logged.
        self._pending = _Pending(step, jax.device_get(pixels), seconds, estimates)
        return seconds

    def log_finished(self) -> bool:
        """Log the last evaluation, if there is one that is not logged; draw samples/best.png if it is the best.

        Returns:
            Whether there was one.
        """
        if self._pending is None:
            return False
        step, pixels, seconds, estimates = self._pending
        self._pending = None
        # One process's arithmetic counts for all: another's may differ in the last bit.
        values = multihost.run_on_primary(lambda: evaluators.to_log_scalars(estimates.result(), seconds))
        self._writer.write_scalars(step, values)
        best = self.best()
        # The pictures are of this state. Those of an earlier best one are in the file already.
        if best and best["step"] == step:
            self._writer.write_image_grid(step, "samples/best", pixels)
        return True

    def best(self) -> Line | None:
        """Return the log line of the best state so far."""
        return divergence.best_line(self._writer.lines, self._kid)

    def best_steps(self) -> list[int]:
        """Return the steps of the best states so far, best first, whose checkpoints are worth keeping."""
        # Of equal values the earlier one stays first, on every process: sorting is stable.
        ranked = sorted(self._evaluations(), key=lambda line: line[self._kid])
        return [line["step"] for line in ranked[: self._keep_best]]

    def symptoms(self) -> list[Symptom]:
        """Return the symptoms of divergence that the log shows now."""
        return divergence.symptoms(self._writer.lines, kid=self._kid, max_score_gap=self._max_score_gap)

    def summary(self) -> dict[str, Any]:
        """Return {"best": {"step", kid: {"value", "low", "high"}}} for a run's summary, or {}."""
        line = self.best()
        if line is None:
            return {}
        kid = self._kid
        # An interval that is not finite is not in the log.
        estimate = {"value": line[kid], "low": line.get(f"{kid}_low"), "high": line.get(f"{kid}_high")}
        return {"best": {"step": line["step"], kid.removeprefix("evaluation/"): estimate}}

    def cancel(self) -> None:
        """Drop the evaluation that is under way: the run has gone back."""
        # The thread may still be at it: nobody asks for its result.
        self._pending = None

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _evaluations(self) -> list[Line]:
        return [line for line in self._writer.lines if self._kid in line]
