"""Whether a run diverges: a function of its log alone, so that no clock and no restart decides.

Every symptom compares a run with itself or with what is mathematically possible, and must last: healthy runs, whose
numbers jump too, show none.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LR_SCALE = 0.3  # what is left of the learning rates after a roll-back

# With these limits ten healthy runs gave no warning, and six that collapsed were all caught (benchmarks/guard.py).

# The critic's gap between real and fake images must have been too large for this many steps.
GAP_STEPS = 50
# Samples must have been this much less diverse than they once were, for this many steps.
DIVERSITY = 0.25
DIVERSITY_STEPS = 150
# Evaluations in a row must be this many times as far from the held-out images as the best one.
KID_TIMES = 2.0
KID_EVALUATIONS = 2
KID_SMALL = 0.005  # a best below this counts as this: forty logos instead of four hundred are hardly farther

Line = dict[str, Any]


class Symptom(NamedTuple):
    """A sign that a run diverges.

    Attributes:
        name: a word for it.
        reason: what is seen, in words.
        lasting: whether it has lasted long enough to act.
        since: the first step that showed it, or None where that is not known.
    """

    name: str
    reason: str
    lasting: bool
    since: int | None = None


def symptoms(lines: Sequence[Line], *, kid: str, max_score_gap: float) -> list[Symptom]:
    """Return the symptoms at the end of a list of log lines, those that have lasted first.

    Args:
        lines: lines of metrics.jsonl, oldest first.
        kid: name of the kernel distance in the lines.
        max_score_gap: the most that |D(x) - D(G(z))| can be, on average, while the critic works.
    """
    present = (_score_gap(lines, max_score_gap), _diversity(lines), _kernel_distance(lines, kid))
    # The guard acts on the first one.
    return sorted(filter(None, present), key=lambda symptom: not symptom.lasting)


def best_line(lines: Sequence[Line], kid: str) -> Line | None:
    """Return the line of the smallest kernel distance, by its name in the lines, or None."""
    return min((line for line in lines if kid in line), key=lambda line: line[kid], default=None)


def max_score_gap(shape: Sequence[int]) -> float:
    """Return how far apart two images of a shape, in [-1, 1], can be.

    No critic of slope 1 sees a larger distance, and logits that far apart no longer teach anything.
    """
    # The images are all black and all white: each of their values differs by 2.
    return 2 * math.sqrt(math.prod(shape))


def _score_gap(lines: Sequence[Line], most: float) -> Symptom | None:
    gaps = [(line["step"], line["critic/gap"]) for line in lines if "critic/gap" in line]
    bad = _bad_at_end(gaps, lambda gap: gap > most)
    if not bad:
        return None
    reason = f"the critic scores real and fake images {bad[-1][1]:,.0f} apart, where {most:.0f} is the most"
    return Symptom("gap", reason, _steps_between(bad) >= GAP_STEPS, bad[0][0])


def _diversity(lines: Sequence[Line]) -> Symptom | None:
    values = [(line["step"], line["samples/diversity"]) for line in lines if "samples/diversity" in line]
    # Compared with the run itself: objectives differ in how diverse their samples ever become.
    most = max((value for _, value in values), default=0)
    # Samples more diverse than the real images may become as alike as these are.
    bad = _bad_at_end(values, lambda diversity: diversity < DIVERSITY * min(most, 1.0))
    if not bad:
        return None
    reason = f"the samples' diversity is {bad[-1][1]:.3f}, and was {most:.3f}"
    return Symptom("diversity", reason, _steps_between(bad) >= DIVERSITY_STEPS, bad[0][0])


def _kernel_distance(lines: Sequence[Line], kid: str) -> Symptom | None:
    # Intervals, not values, are compared: a worse draw of samples is no symptom.
    best = best_line(lines, kid)
    if best is None or f"{kid}_high" not in best:  # the log has no number that is not finite
        return None
    limit = KID_TIMES * max(best[f"{kid}_high"], KID_SMALL)
    evaluations = [(line["step"], line) for line in lines if kid in line]
    # An evaluation without an interval is no symptom: nothing is known for certain.
    bad = _bad_at_end(evaluations, lambda line: line.get(f"{kid}_low", -math.inf) > limit)
    if not bad:
        return None
    now = bad[-1][1][kid]
    reason = f"{kid.split('/')[1]} is {now:.4f}, and was {best[kid]:.4f} at step {best['step']}"
    return Symptom("distance", reason, len(bad) >= KID_EVALUATIONS, bad[0][0])


def _bad_at_end(values: list[tuple[int, Any]], is_bad: Callable[[Any], bool]) -> list[tuple[int, Any]]:
    """Return the (step, value) pairs at the end of a list that are all bad."""
    # One good value ends a symptom: what recovers by itself needs no roll-back.
    good = [i for i, (_, value) in enumerate(values) if not is_bad(value)]
    return values[good[-1] + 1 :] if good else values


def _steps_between(pairs: list[tuple[int, Any]]) -> int:
    return pairs[-1][0] - pairs[0][0]
