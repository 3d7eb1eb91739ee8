"""Functions timed in turn, again and again."""

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Pace(NamedTuple):
    """A rate per second: the median, the lowest and the highest of `repeats` timings of `turns` turns each."""

    median: float
    low: float
    high: float
    repeats: int
    turns: int


Runner = Callable[[int], tuple[float, float]]  # a number of turns -> (units done, seconds that they took)


def in_turn(runners: Sequence[Runner], *, repeats: int, seconds: float) -> list[Pace]:
    """Return the Pace of each runner.

    A runner takes one turn to get warm and one that shows how long a turn is. Then it is timed `repeats` times, each
    time for as many turns as take about `seconds`, at least one. The runners go A B A B, so that other work of the
    machine slows all of them alike.
    """
    turns = []
    rates = [[] for _ in runners]
    for run in runners:
        run(1)
        turns.append(max(1, round(seconds / run(1)[1])))
    for _ in range(repeats):
        for run, count, measured in zip(runners, turns, rates, strict=True):
            units, elapsed = run(count)
            measured.append(units / elapsed)
    return [
        Pace(statistics.median(measured), min(measured), max(measured), repeats, count)
        for measured, count in zip(rates, turns, strict=True)
    ]
