"""Things timed in turn, again and again."""

import statistics
from typing import NamedTuple


class Pace(NamedTuple):
    """How many a second: the median of some repeats of so many turns, the slowest and the fastest."""

    median: float
    low: float
    high: float
    repeats: int
    turns: int


def in_turn(runners, *, repeats, seconds):
    """The Paces of some runners, functions of a number of turns -> (how many were done, seconds that it took).

    Each takes one turn to get warm and one to tell how long it is, then `repeats` times as many as take about so
    many `seconds`, at least one. They go A B A B, so that what else the machine does befalls all.
    """
    turns, paces = [], [[] for _ in runners]
    for run in runners:
        run(1)
        turns.append(max(1, round(seconds / run(1)[1])))
    for _ in range(repeats):
        for run, count, found in zip(runners, turns, paces, strict=True):
            done, took = run(count)
            found.append(done / took)
    return [
        Pace(statistics.median(found), min(found), max(found), repeats, count)
        for found, count in zip(paces, turns, strict=True)
    ]
