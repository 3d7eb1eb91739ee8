"""What is done about a run that diverges: warn, go back once with lower learning rates, stop."""

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from logogan_jax.core.errors import Diverged
from logogan_jax.training import divergence
from logogan_jax.training.checkpoints import Checkpoints, Restored
from logogan_jax.training.divergence import Symptom
from logogan_jax.training.evaluation_monitor import EvaluationMonitor
from logogan_jax.training.metric_accumulator import NonFinite
from logogan_jax.training.nonfinite import AGAIN, NonFiniteRecorder
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.train_state import TrainState


class Rollback(NamedTuple):
    """A run that went back: the step, and the state to go on from."""

    step: int
    state: TrainState


class DivergenceGuard:
    """Warns of a run that diverges, rolls it back once, and stops it the second time.

    Args:
        mode: "on"; "warn", which only warns; or "off".
        recorder: keeps the steps after which a number is not finite.
        init_state: function () -> the state of step 0.
        place: function (state) -> the state on all devices.
        networks: names of the networks, whose learning rates may be lowered.
    """

    def __init__(
        self,
        mode: str,
        writer: RunWriter,
        monitor: EvaluationMonitor,
        checkpoints: Checkpoints,
        recorder: NonFiniteRecorder,
        *,
        init_state: Callable[[], TrainState],
        place: Callable[[TrainState], TrainState],
        say: Callable[[str], None],
        networks: Sequence[str] = ("critic", "generator"),
    ):
        self._networks = networks
        self._mode = mode
        self._writer = writer
        self._monitor = monitor
        self._checkpoints = checkpoints
        self._recorder = recorder
        self._init_state = init_state
        self._place = place
        self._say = say

    @property
    def rolled_back(self) -> bool:
        """Whether the run has gone back before."""
        return any(event["action"] == "roll back" for event in self._writer.events)

    def first_state(self, restored: Restored | None, fresh: TrainState) -> TrainState:
        """Return the state to start from on the devices, with the lower learning rates of a run that went back.

        It is that of a checkpoint, or else that of step 0, which lies on the devices as `fresh`.
        """
        # The log decides, not the checkpoint: that may be from before the roll-back, with the rates of then.
        if self.rolled_back:
            return self._with_lowered_lr(restored.state if restored else self._init_state())
        return self._place(restored.state) if restored else fresh

    def check(self, step: int, state: TrainState) -> Rollback | None:
        """Warn of what the log shows at a step; roll back or stop where it has lasted.

        Returns:
            The roll-back, or None where the run goes on. `state` gives the shapes of what is restored.
        """
        if self._mode == "off":
            return None
        symptoms = self._monitor.symptoms()
        warned = self._warnings()
        for symptom in symptoms:
            # Once for each symptom, not at every log line that still shows it.
            if symptom.name not in warned:
                self._writer.write_event(step, "warn", sign=symptom.name, reason=symptom.reason)
                self._say(f"Warning at step {step:,}: {symptom.reason}.")
        # Those that have lasted come first, so the first of them decides.
        if self._mode == "on" and symptoms and symptoms[0].lasting:
            return self._roll_back_or_stop(step, state, f"step {step}: {symptoms[0].reason}", _first_sign(symptoms))
        return None

    def after_non_finite(
        self, bad: NonFinite, step: int, state: TrainState, good_step: int, good_state: TrainState
    ) -> Rollback:
        """Keep the program that gave a number that is not finite, then roll the run back or stop it.

        `good_state` is that of an earlier step, whose buffers are used up.
        """
        # Another name after a roll-back, because the same step may break once more.
        again = AGAIN if self.rolled_back else ""
        folder = self._recorder.write(bad, good_step, good_state, name=f"{bad.step:06d}{again}")
        workdir = folder.parent.parent
        self._say(f"What made it is in {folder}: python -m logogan_jax.replay --workdir={shlex.quote(str(workdir))}")
        # A number that is not finite spreads to all weights within a step: there is nothing to wait for.
        if self._mode == "on":
            return self._roll_back_or_stop(step, state, str(bad))
        self._stop(step, f"{bad}: training has diverged")

    def steps_to_keep(self) -> list[int]:
        """Return the steps whose checkpoints should stay: the best, and the target if what looks bad now lasts."""
        best = self._monitor.best_steps()
        # Newer checkpoints would otherwise replace the target before it is known whether the symptom lasts.
        since = _first_sign(self._monitor.symptoms()) if self._mode == "on" else None
        return best if since is None else [*best, self._target(since)]

    def _roll_back_or_stop(self, step: int, state: TrainState, reason: str, since: int | None = None) -> Rollback:
        """Roll the run back to before the step `since`, or stop it."""
        # Once: a run that diverges with lower rates, too, has a fault that money does not cure.
        if self.rolled_back:
            self._stop(step, f"{reason}, once more")
        target = self._target(step + 1 if since is None else since)
        # The checkpoint that is being written may be the target.
        self._checkpoints.wait()
        restored = self._checkpoints.restore_newest(state, self._say, most=target) or Restored(0, self._init_state())
        target = restored.step
        self._monitor.cancel()
        # A run may be killed between any two of these lines. Until all newer checkpoints are deleted it then goes on
        # from the newest one, with the log that it is judged by. The copy of the log tells why there is no checkpoint.
        self._writer.keep_rolled_back(target)
        self._checkpoints.delete_after(target)
        self._writer.write_event(step, "roll back", to=target, rate=divergence.LR_SCALE, reason=reason)
        # Lines of steps that are no more would condemn the run again.
        self._writer.truncate_after(target)
        self._say(f"{reason}. Going back to step {target:,} with {divergence.LR_SCALE} times the learning rates.")
        return Rollback(target, self._with_lowered_lr(restored.state))

    def _with_lowered_lr(self, state: TrainState) -> TrainState:
        # Set, not multiplied: however often the state is restored, the rates are lowered once.
        return self._place(state._replace(lr_scale=np.float32(divergence.LR_SCALE)))

    def _target(self, before: int) -> int:
        """Return the step to go back to, below `before`: the best with a checkpoint, else the newest one, else 0."""
        best = [step for step in self._monitor.best_steps() if step < before]
        # A checkpoint that a clock or a stop asked for is no target: what is done here depends on no clock.
        saved = [step for step in self._checkpoints.steps() if step < before]
        kept = [step for step in saved if step in best or self._checkpoints.is_regular(step)]
        newest = kept[-1] if kept else 0
        return next((step for step in best if step in kept), newest)

    def _stop(self, step: int, reason: str) -> NoReturn:
        self._writer.write_event(step, "stop", reason=reason)
        rates = " and ".join(f"config.optimizer.{name}.learning_rate" for name in self._networks)
        raise Diverged(f"{reason}: lower {rates}, and train in another --workdir")

    def _warnings(self) -> set[str]:
        """Return the names of the symptoms that were warned of since the last roll-back."""
        events = self._writer.events
        since = max((i + 1 for i, event in enumerate(events) if event["action"] == "roll back"), default=0)
        return {event["sign"] for event in events[since:] if event["action"] == "warn"}


def _first_sign(symptoms: Sequence[Symptom]) -> int | None:
    """Return the first step that showed any of the symptoms, or None where that is not known."""
    return min((symptom.since for symptom in symptoms if symptom.since is not None), default=None)
