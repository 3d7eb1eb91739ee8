"""What is known of a trial."""

from typing import Any, NamedTuple

from logogan_jax.core.intervals import Estimate


class Outcome(NamedTuple):
    """How a run ended: `state` is "finished", "pruned" or "failed", with a reason for the last two.

    `kid` is the best of the run, at `step`; `seconds` what it took. All three are None where it did not say.
    """

    state: str
    kid: Estimate | None = None
    step: int | None = None
    seconds: float | None = None
    reason: str = ""


class Trial(NamedTuple):
    """A trial as it stands: `state` is "waiting", "running", "finished", "pruned" or "failed".

    `kid` is the best of its run so far; `curve` [(images, KID)] of all its evaluations.
    """

    number: int
    state: str
    params: dict[str, Any]
    kid: Estimate | None
    step: int | None
    seconds: float | None
    reason: str
    curve: list


def best_trial(trials):
    """The finished trial of the lowest KID, or None."""
    return min((trial for trial in trials if trial.state == "finished"), key=lambda t: t.kid.value, default=None)
