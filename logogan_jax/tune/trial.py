"""What is known of a trial."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from logogan_jax.core.intervals import Estimate


class Outcome(NamedTuple):
    """How a run ended: `state` is "finished", "pruned" or "failed", with a reason for the last two.

    `kid` is the best of the run, at `step`; `seconds` is how long the run took. Each is None where the run did not
    say it.
    """

    state: str
    kid: Estimate | None = None
    step: int | None = None
    seconds: float | None = None
    reason: str = ""


class Trial(NamedTuple):
    """A trial as it stands: `state` is "waiting", "running", "finished", "pruned" or "failed".

    `kid` is the best of its run until now; `curve` is [(images, KID)] of all its evaluations.
    """

    number: int
    state: str
    params: dict[str, Any]
    kid: Estimate | None
    step: int | None
    seconds: float | None
    reason: str
    curve: list[tuple[int, float]]

    @property
    def score(self) -> float:
        """The best KID until now, or infinity where there is none."""
        return self.kid.value if self.kid else math.inf


def best_trial(trials: Iterable[Trial]) -> Trial | None:
    """Return the finished trial of the lowest KID, or None."""
    return min((trial for trial in trials if trial.state == "finished"), key=lambda trial: trial.score, default=None)
