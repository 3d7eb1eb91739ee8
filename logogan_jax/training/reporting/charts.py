"""Small charts of a run's page: where their lines, numbers and labels lie. The template draws them as SVG."""

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WIDTH = 400
HEIGHT = 210
# Edges of the plot.
LEFT = 50
RIGHT = 392
TOP = 8
BOTTOM = 188
MOST_POINTS = 300  # of a line
_LOG_FROM = 100  # times by which the largest of positive values exceeds the smallest on a logarithmic axis

Points = tuple[Sequence[int], Sequence[float]]  # steps, values


class Curve(NamedTuple):
    """A line: its name, the number of its colour, its points for SVG, its newest value, its dots as (x, y, text)."""

    name: str
    colour: int
    points: str
    newest: str
    dots: list[tuple[float, float, str]]


class Chart(NamedTuple):
    """A chart as the template draws it, in units of SVG.

    Attributes:
        about: what it shows, in words.
        curves: the lines of the run that counts.
        pale: points of lines that the run went back from.
        band: points around the interval of the first curve, or "".
        star: (x, y, text) of the best point, or None.
        cuts: x of the steps from which the run went back.
        across: (x, text) of the numbers of the axis of steps.
        up: (y, text) of the numbers of the other axis.
    """

    title: str
    about: str
    curves: list[Curve]
    pale: list[str]
    band: str
    star: tuple[float, float, str] | None
    cuts: list[float]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]


def chart(
    title: str,
    curves: Mapping[str, Points],
    *,
    last: int,
    pale: Sequence[Points] = (),
    band: tuple[Sequence[int], Sequence[float], Sequence[float]] | None = None,
    best: tuple[int, float] | None = None,
    cuts: Sequence[int] = (),
    dots: bool = False,
) -> Chart | None:
    """Return the chart of curves by name from step 0 to `last`; None where there is no point.

    `band` is (steps, low ends, high ends) of an interval. Where all values are positive and differ much, the axis is
    logarithmic.
    """
    curves = {name: thinned(*points) for name, points in curves.items() if points[0]}
    values = [value for _, some in curves.values() for value in some]
    if not values:
        return None
    # The ends count, too, or the interval would be cut off.
    values += [value for ends in band[1:] for value in ends] if band else []
    axis = _Axis(min(values), max(values))
    across = lambda step: round(LEFT + (RIGHT - LEFT) * step / max(last, 1), 1)
    place = lambda points: _join(map(across, points[0]), map(axis.place, points[1]))
    return Chart(
        title=title,
        about=f"{title}: " + "; ".join(_describe(name, *points) for name, points in curves.items()),
        curves=[
            Curve(name, i % 6, place(points), number(points[1][-1]), _dots(points, across, axis) if dots else [])
            for i, (name, points) in enumerate(curves.items())
        ],
        pale=[place(thinned(*points)) for points in pale if points[0]],
        band=_band(band, place) if band and band[0] else "",
        star=best and (across(best[0]), axis.place(best[1]), f"best: {number(best[1])} at step {best[0]:,}"),
        cuts=[across(step) for step in cuts],
        # A short run would get ticks between its steps.
        across=[(across(step), f"{step:,.0f}") for step in _ticks(0, max(last, 1), 4) if step == int(step)],
        up=[(axis.place(value), number(value)) for value in axis.ticks()],
    )


def thinned(steps: Sequence[int], values: Sequence[float]) -> Points:
    """Return at most MOST_POINTS of the points: of each stretch of steps the lowest and the highest, and the ends."""
    if len(steps) <= MOST_POINTS:
        return steps, values
    kept = {0, len(steps) - 1}
    count = MOST_POINTS // 2 - 1
    bounds = [len(steps) * i // count for i in range(count + 1)]
    for start, stop in itertools.pairwise(bounds):
        stretch = range(start, stop)
        # A mean would hide the peaks for which one looks at a curve.
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    return [steps[i] for i in sorted(kept)], [values[i] for i in sorted(kept)]


def number(value: float) -> str:
    """Return a number in few digits."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


class _Axis:
    """The axis of values from `low` to `high`."""

    def __init__(self, low: float, high: float):
        self._log = low > 0 and high > _LOG_FROM * low
        if self._log:
            low = math.log10(low)
            high = math.log10(high)
        # A curve that is one number gets an axis as well.
        margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
        self._low = low - margin
        self._high = high + margin

    def place(self, value: float) -> float:
        """Return y of a value; what is outside of the axis lies at its end."""
        if self._log:
            # What the run went back from may be zero or negative where the rest is positive.
            value = math.log10(value) if value > 0 else -math.inf
        share = (value - self._low) / (self._high - self._low)
        return round(BOTTOM - (BOTTOM - TOP) * min(max(share, 0.0), 1.0), 1)

    def ticks(self) -> list[float]:
        """Return the values to write beside the axis."""
        if not self._log:
            return _ticks(self._low, self._high, 5)
        # Between powers of ten a logarithmic axis has no round numbers.
        return [10.0**power for power in _ticks(self._low, self._high, 5) if power == int(power)]


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from `low` to `high`, at most about `most` of them."""
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    unit *= (1, 2, 5, 10)[min(bisect.bisect_left((1, 2, 5), rough / unit), 3)]
    # Rounded, because 3 * 0.1 is not 0.3.
    return [float(f"{i * unit:.12g}") for i in range(math.ceil(low / unit), math.floor(high / unit) + 1)]


def _join(across, up) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in zip(across, up, strict=True))


def _band(band, place) -> str:
    steps, low, high = band
    # Along the low ends and back along the high ones.
    return place(([*steps, *reversed(steps)], [*low, *reversed(high)]))


def _dots(points: Points, across, axis: _Axis) -> list[tuple[float, float, str]]:
    return [
        (across(step), axis.place(value), f"{number(value)} at step {step:,}")
        for step, value in zip(*points, strict=True)
    ]


def _describe(name: str, steps: Sequence[int], values: Sequence[float]) -> str:
    return f"{name} {number(values[0])} at step {steps[0]:,}, {number(values[-1])} at step {steps[-1]:,}"
