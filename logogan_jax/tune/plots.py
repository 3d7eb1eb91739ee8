"""The drawings of a study's page, as SVG whose colours are those of the page."""

import io
import math
import re

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from logogan_jax.tune.search_space import Choice

# Matplotlib wants colours, the page has variables that follow the reader's light or dark.
_COLOURS = {"ink": "#101112", "pale": "#202122", "line": "#303132", "bar": "#404142", "good": "#505152"}
_INK, _PALE, _LINE, _BAR, _GOOD = _COLOURS.values()
_STYLE = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9, "axes.edgecolor": _LINE, "axes.labelcolor": _PALE,
    "text.color": _INK, "xtick.color": _LINE, "ytick.color": _LINE, "xtick.labelcolor": _PALE,
    "ytick.labelcolor": _PALE, "grid.color": _LINE, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.linewidth": 0.5, "legend.frameon": False, "axes.axisbelow": True,
}  # fmt: skip
_FAR = 10  # times the best KID, from where the axis is logarithmic


def per_trial(trials, best):
    """KID of each trial by number, pale where it was stopped early, and the best so far."""

    def draw(axis):
        finished = [trial for trial in trials if trial.state == "finished"]
        stopped = [trial for trial in trials if trial.state == "pruned" and trial.kid]
        _dots(axis, stopped, lambda t: t.number, _PALE, "stopped early", hollow=True)
        _dots(axis, finished, lambda t: t.number, _BAR, "finished")
        lows = [min(t.kid.value for t in finished[: i + 1]) for i in range(len(finished))]
        axis.step([t.number for t in finished], lows, where="post", color=_GOOD, linewidth=1.4, label="best so far")
        for trial in (trials[0], best):
            if trial and trial.state == "finished" and not math.isnan(trial.kid.low):
                axis.vlines(trial.number, trial.kid.low, trial.kid.high, color=_INK, linewidth=1)
        axis.set_xlabel("trial")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(loc="upper right")

    values = [t.kid.value for t in trials if t.kid]
    return _svg("trials", draw, values, size=(5.0, 3.1))


def curves(trials, best):
    """KID of every trial against the images its generator has made, pale where it was stopped early."""

    def draw(axis):
        for trial in trials:
            if not trial.curve:
                continue
            special = trial is best or trial.number == 0
            colour = _GOOD if trial is best else _INK if special else _BAR if trial.state != "pruned" else _PALE
            label = "best" if trial is best else "the config as it is" if special else None
            width, alpha = (1.8, 1) if special else (0.9, 0.3 if trial.state == "pruned" else 0.7)
            axis.plot(*zip(*trial.curve, strict=True), color=colour, linewidth=width, alpha=alpha, label=label,
                      marker="." if len(trial.curve) == 1 else None, zorder=3 if special else 2)  # fmt: skip
        axis.set_xlabel("thousand images")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.4g}")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper right")

    values = [kid for trial in trials for _, kid in trial.curve]
    return _svg("curves", draw, values, size=(5.0, 3.1))


def against(key, each, trials, best):
    """KID against the value of one key, whose range is `each`."""
    spread = {value: place for place, value in enumerate(each.values)} if isinstance(each, Choice) else None

    def place(trial):
        return spread[trial.params[key]] if spread else trial.params[key]

    def draw(axis):
        known = [trial for trial in trials if trial.kid and key in trial.params]
        _dots(axis, [t for t in known if t.state == "pruned"], place, _PALE, None, hollow=True)
        _dots(axis, [t for t in known if t.state == "finished"], place, _BAR, None)
        _dots(axis, [t for t in known if t.number == 0 and t.state == "finished"], place, _INK, None)
        _dots(axis, [t for t in known if t is best], place, _GOOD, None, size=60)
        if spread:
            axis.set_xticks(list(spread.values()), [str(value) for value in spread])
            axis.set_xlim(-0.5, len(spread) - 0.5)
        elif each.log:
            axis.set_xscale("log")
            _plain(axis.xaxis)
        elif isinstance(each.low, int):
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    values = [t.kid.value for t in trials if t.kid and t.state in ("finished", "pruned")]
    return _svg(f"key-{re.sub('[^a-z0-9]+', '-', key.lower())}", draw, values, size=(3.6, 2.3))


def _dots(axis, trials, place, colour, label, *, hollow=False, size=22):
    values = [trial.kid.value for trial in trials]
    face = "none" if hollow else colour
    if trials:
        axis.scatter([place(trial) for trial in trials], values, s=size, facecolors=face, edgecolors=colour,
                     linewidths=1, label=label, zorder=3)  # fmt: skip


def _plain(axis):
    """Ticks of a logarithmic axis as 0.01, 0.02, 0.05 rather than as powers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axis.set_major_formatter(lambda value, _: f"{value:.4g}")
    axis.set_minor_formatter(NullFormatter())


def _svg(name, draw, values, *, size):
    """An SVG element with one panel that draw(axis) fills; `values` are the KIDs in it."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="tight")
        axis = figure.add_subplot()
        finite = [value for value in values if math.isfinite(value)]
        if finite and min(finite) > 0 and max(finite) > _FAR * min(finite):
            axis.set_yscale("log")
            _plain(axis.yaxis)
        draw(axis)
        axis.set_ylabel("KID")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True,
                       metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))  # fmt: skip
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for variable, colour in _COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    # Names of parts are unique within a drawing only, and a page has several.
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
