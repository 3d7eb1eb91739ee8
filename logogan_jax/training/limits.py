"""What bounds a run besides its last step: a request to stop, the money, and the minutes between checkpoints."""

from logogan_jax.core.timing import Timer
from logogan_jax.distributed import multihost
from logogan_jax.distributed.preemption import StopRequest
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.schedule import Schedule


class Limits:
    """Asks for a checkpoint when one is overdue, and for a stop when the money is spent."""

    def __init__(self, stop: StopRequest, budget: Budget, checkpoint_timer: Timer):
        self._stop = stop
        self._budget = budget
        self._checkpoint_timer = checkpoint_timer

    def requested(self, step: int) -> bool:
        """Return whether to stop at a step; every process has to ask at every step that it comes by."""
        return self._stop.requested(step)

    def check(self, schedule: Schedule) -> None:
        """Look at the clocks; the first process's count for all."""
        # Clocks of two hosts differ. Were each to ask its own, one could stop while the others wait for it for ever.
        overdue, spent = multihost.run_on_primary(lambda: (self._checkpoint_timer.expired(), self._budget.exhausted()))
        if overdue:
            schedule.save_next()
        if spent:
            self._stop.request(f"--max_cost={self._budget.max_cost:g}")

    def saved(self, schedule: Schedule) -> None:
        """Note that a checkpoint was saved."""
        self._checkpoint_timer.reset()
        schedule.saved()
