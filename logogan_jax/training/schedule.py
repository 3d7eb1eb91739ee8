"""When a run logs, evaluates, samples and saves."""

from typing import NamedTuple

from logogan_jax.core import timing

CLOCK_PERIOD = 50  # steps between looks at the clocks of a run that has no log lines


class Periods(NamedTuple):
    """Steps between two of each; 0 for none before the last step, and for no evaluation at all."""

    log: int
    evaluate: int
    sample: int
    checkpoint: int


class Schedule:
    """Tells what is due at a step: at the multiples of its period, and at the last step.

    A checkpoint is also due with every evaluation, whose state may be the best so far, and when somebody asks for one.
    The clocks are looked at with every log line, or every CLOCK_PERIOD steps where there are none.
    """

    def __init__(self, periods: Periods, last: int):
        self.last = last
        self._periods = periods
        self._save_next = False

    def log(self, step: int) -> bool:
        """Return whether to write a log line."""
        return self._due(self._periods.log, step)

    def evaluate(self, step: int) -> bool:
        """Return whether to measure the generator."""
        return self._periods.evaluate > 0 and self._due(self._periods.evaluate, step)

    def sample(self, step: int) -> bool:
        """Return whether to write a picture of samples."""
        return self._due(self._periods.sample, step)

    def checkpoint(self, step: int) -> bool:
        """Return whether to save the state."""
        # Evaluated states are saved, or the best of them could not be kept.
        return self._save_next or self.evaluate(step) or self._due(self._periods.checkpoint, step)

    def clocks(self, step: int) -> bool:
        """Return whether to look at the time and the money."""
        # Not at every step: where several processes train, each look is a broadcast.
        return self._due(self._periods.log or CLOCK_PERIOD, step)

    def any(self, step: int) -> bool:
        """Return whether anything is due."""
        return self.clocks(step) or self.evaluate(step) or self.sample(step) or self.checkpoint(step)

    def save_next(self) -> None:
        """Let a checkpoint be due at the next step that comes."""
        self._save_next = True

    def saved(self) -> None:
        """Note that a checkpoint was saved."""
        self._save_next = False

    def _due(self, period: int, step: int) -> bool:
        # At step 0 there is nothing to report: no update has been made.
        return step > 0 and timing.is_due(period, step, self.last)
