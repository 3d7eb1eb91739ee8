"""Whether a run is dying: a function of its log alone, so that no clock and no restart decides.

Every sign compares a run with itself or with what is mathematically possible, and must last: healthy runs,
whose numbers jump too, give none.
"""

import math
from typing import NamedTuple

LOWER = 0.3  # what is left of the learning rates after a roll-back
GAP_STEPS = 50  # the critic's gap has exceeded what a working critic can show for so many steps
DIVERSITY, DIVERSITY_STEPS = 0.25, 150  # samples have been this much less diverse than they once were
KID_TIMES, KID_LOOKS = 2.0, 2  # evaluations this many times farther from the held-out images than the best
KID_SMALL = 0.005  # a best below this is as good as this: forty logos instead of four hundred are hardly farther


class Sign(NamedTuple):
    """What is wrong, in words, and whether it has lasted long enough to act."""

    name: str
    reason: str
    lasting: bool


def signs(lines, *, kid, largest_gap):
    """The Signs at the end of a list of log lines, those that have lasted first.

    `kid` names the kernel distance in the lines, `largest_gap` is the most that |D(x) - D(G(z))| can be, on
    average, while the critic works.
    """
    found = (_gap(lines, largest_gap), _diversity(lines), _distance(lines, kid))
    return sorted(filter(None, found), key=lambda sign: not sign.lasting)


def best(lines, kid):
    """The line of the smallest kernel distance, by its name in the lines, or None."""
    return min((line for line in lines if kid in line), key=lambda line: line[kid], default=None)


def largest_gap(shape):
    """How far apart two images of a shape, in [-1, 1], can be.

    No critic of slope 1 sees a larger distance, and logits that far apart no longer teach anything.
    """
    return 2 * math.sqrt(math.prod(shape))


def _gap(lines, largest):
    values = [(line["step"], line["critic/gap"]) for line in lines if "critic/gap" in line]
    bad = _last_bad(values, lambda gap: gap > largest)
    if not bad:
        return None
    reason = f"the critic scores real and fake images {bad[-1][1]:,.0f} apart, where {largest:.0f} is the most"
    return Sign("gap", reason, _span(bad) >= GAP_STEPS)


def _diversity(lines):
    values = [(line["step"], line["samples/diversity"]) for line in lines if "samples/diversity" in line]
    most = max((value for _, value in values), default=0)
    bad = _last_bad(values, lambda diversity: diversity < DIVERSITY * most)
    if not bad:
        return None
    reason = f"the samples' diversity is {bad[-1][1]:.3f}, and was {most:.3f}"
    return Sign("diversity", reason, _span(bad) >= DIVERSITY_STEPS)


def _distance(lines, name):
    looks = [(line["step"], line) for line in lines if name in line]
    if not looks:
        return None
    least = min((line for _, line in looks), key=lambda line: line[name])
    bad = _last_bad(looks, lambda line: line[f"{name}_low"] > KID_TIMES * max(least[f"{name}_high"], KID_SMALL))
    if not bad:
        return None
    reason = f"{name.split('/')[1]} is {bad[-1][1][name]:.4f}, and was {least[name]:.4f} at step {least['step']}"
    return Sign("distance", reason, len(bad) >= KID_LOOKS)


def _last_bad(values, bad):
    """The (step, value) pairs at the end of a list, all of them bad."""
    good = [i for i, (_, value) in enumerate(values) if not bad(value)]
    return values[good[-1] + 1 :] if good else values


def _span(pairs):
    return pairs[-1][0] - pairs[0][0]
