"""The charts of a study's page, as SVG whose colours are those of the page."""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from logogan_jax.core import plotting
from logogan_jax.tune.search_space import Choice, Span
from logogan_jax.tune.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Matplotlib needs colours, but the page has variables that follow the reader's light or dark.
# These placeholders are replaced in the SVG.
_INK = "#101112"
_PALE = "#202122"
_LINE = "#303132"
_BAR = "#404142"
_GOOD = "#505152"
_VARIABLES = {_INK: "ink", _PALE: "pale", _LINE: "line", _BAR: "bar", _GOOD: "good"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9, "axes.edgecolor": _LINE, "axes.labelcolor": _PALE,
    "text.color": _INK, "xtick.color": _LINE, "ytick.color": _LINE, "xtick.labelcolor": _PALE,
    "ytick.labelcolor": _PALE, "grid.color": _LINE, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.linewidth": 0.5, "legend.frameon": False, "axes.axisbelow": True,
}  # fmt: skip
_LOG_FROM = 10  # largest KID over smallest from which the axis of KID is logarithmic
_LARGE = (5.0, 3.1)  # inches
_SMALL = (3.6, 2.3)


def plot_kid_per_trial(trials: Sequence[Trial], best: Trial | None) -> str:
    """Return the SVG of each trial's KID by number, hollow where it was stopped early, and of the best so far."""

    def draw(axes: "Axes") -> None:
        finished = [trial for trial in trials if trial.state == "finished" and trial.kid]
        stopped = [trial for trial in trials if trial.state == "pruned" and trial.kid]
        _scatter(axes, stopped, lambda trial: trial.number, _PALE, "stopped early", hollow=True)
        _scatter(axes, finished, lambda trial: trial.number, _BAR, "finished")
        lowest = [min(trial.score for trial in finished[: i + 1]) for i in range(len(finished))]
        numbers = [trial.number for trial in finished]
        axes.step(numbers, lowest, where="post", color=_GOOD, linewidth=1.4, label="best so far")
        for trial in finished:
            if trial.number in (0, best and best.number) and trial.kid and not math.isnan(trial.kid.low):
                axes.vlines(trial.number, trial.kid.low, trial.kid.high, color=_INK, linewidth=1)
        axes.set_xlabel("trial")
        _label_whole_numbers(axes.xaxis)
        _legend(axes)

    return _svg("trials", draw, [trial.score for trial in trials if trial.kid], size=_LARGE)


def plot_kid_curves(trials: Sequence[Trial], best: Trial | None) -> str:
    """Return the SVG of every trial's KID against the images it has generated, pale where it was stopped early."""

    def draw(axes: "Axes") -> None:
        for trial in trials:
            if trial.curve:
                images, kids = zip(*trial.curve, strict=True)
                axes.plot(images, kids, marker="." if len(images) == 1 else None, **_line_style(trial, best))
        axes.set_xlabel("thousand images")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.4g}")
        _legend(axes)

    return _svg("curves", draw, [kid for trial in trials for _, kid in trial.curve], size=_LARGE)


def plot_kid_against(key: str, values: Choice | Span, trials: Sequence[Trial], best: Trial | None) -> str:
    """Return the SVG of KID against the value of one key, whose range is `values`."""
    positions = {value: i for i, value in enumerate(values.values)} if isinstance(values, Choice) else {}

    def position(trial: Trial) -> float:
        return positions[trial.params[key]] if positions else trial.params[key]

    measured = [trial for trial in trials if trial.kid and key in trial.params]
    finished = [trial for trial in measured if trial.state == "finished"]

    def draw(axes: "Axes") -> None:
        _scatter(axes, [trial for trial in measured if trial.state == "pruned"], position, _PALE, hollow=True)
        _scatter(axes, finished, position, _BAR)
        _scatter(axes, [trial for trial in finished if trial.number == 0], position, _INK)
        _scatter(axes, [trial for trial in measured if trial is best], position, _GOOD, size=60)
        if isinstance(values, Choice):
            axes.set_xticks(list(positions.values()), [str(value) for value in positions])
            axes.set_xlim(-0.5, len(positions) - 0.5)
        elif values.log:
            axes.set_xscale("log")
            # Labels at 2 and 5, too, would overlap where the range is wide.
            _label_plainly(axes.xaxis, (1, 2, 5) if values.high < 10 * values.low else (1,))
        elif isinstance(values.low, int):
            _label_whole_numbers(axes.xaxis)

    kids = [trial.score for trial in measured if trial.state in ("finished", "pruned")]
    return _svg(f"key-{re.sub('[^a-z0-9]+', '-', key.lower())}", draw, kids, size=_SMALL)


def _line_style(trial: Trial, best: Trial | None) -> dict[str, Any]:
    """Return how the curve of a trial is drawn: strong for the best and for trial 0, pale where stopped early."""
    if trial is best:
        return {"color": _GOOD, "linewidth": 1.8, "zorder": 3, "label": "best"}
    if trial.number == 0:
        return {"color": _INK, "linewidth": 1.8, "zorder": 3, "label": "the config as it is"}
    if trial.state == "pruned":
        return {"color": _PALE, "linewidth": 0.9, "zorder": 2, "alpha": 0.3}
    return {"color": _BAR, "linewidth": 0.9, "zorder": 2, "alpha": 0.7}


def _scatter(
    axes: "Axes",
    trials: Sequence[Trial],
    position: Callable[[Trial], float],
    colour: str,
    label: str | None = None,
    *,
    hollow: bool = False,
    size: int = 22,
) -> None:
    """Draw a dot at the KID of each trial."""
    if trials:
        axes.scatter(
            [position(trial) for trial in trials],
            [trial.score for trial in trials],
            s=size,
            facecolors="none" if hollow else colour,
            edgecolors=colour,
            linewidths=1,
            label=label,
            zorder=3,
        )


def _legend(axes: "Axes") -> None:
    """Put the legend above the panel, where it hides no trial."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderpad=0, columnspacing=1.2)


def _label_whole_numbers(axis: "Axis") -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def _label_plainly(axis: "Axis", multiples: tuple[int, ...] = (1, 2, 5)) -> None:
    """Label a logarithmic axis with numbers such as 0.01, 0.02, 0.05 and not with powers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=multiples, numticks=12))
    axis.set_major_formatter(lambda value, _: f"{value:.4g}")
    axis.set_minor_formatter(NullFormatter())


def _svg(name: str, draw: Callable[["Axes"], None], kids: Sequence[float], *, size: tuple[float, float]) -> str:
    """Return an SVG element with one panel that draw(axes) fills; `kids` are the KIDs in it."""
    with plotting.default_style({**_STYLE, "svg.hashsalt": name}):
        from matplotlib.figure import Figure  # by now, plotting has imported matplotlib

        figure = Figure(figsize=size, layout="tight")
        axes = figure.add_subplot()
        finite = [kid for kid in kids if math.isfinite(kid)]
        if finite and min(finite) > 0 and max(finite) > _LOG_FROM * min(finite):
            axes.set_yscale("log")
            _label_plainly(axes.yaxis)
        draw(axes)
        axes.set_ylabel("KID")
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    return _embeddable(name, buffer.getvalue())


def _embeddable(name: str, text: str) -> str:
    """Return the svg element of a file's text with the page's colours and with ids that no other chart has."""
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
