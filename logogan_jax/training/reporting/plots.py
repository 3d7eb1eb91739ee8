"""Plots of a run's log lines, as PNG files."""

import pathlib
from typing import TYPE_CHECKING

from logogan_jax.core import files, plotting
from logogan_jax.training.reporting import log_lines
from logogan_jax.training.reporting.log_lines import Lines, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROLLED_BACK = {"linewidth": 0.8, "alpha": 0.3, "color": "grey"}


def plot_losses(path: pathlib.Path, lines: Lines, rolled_back: Lines = ()) -> None:
    """Plot the metrics of each player except gradient norms, one panel per player. Nothing is written without any."""
    names = [name for name in log_lines.names(lines) if log_lines.is_player_metric(name)]
    players = sorted({name.split("/")[0] for name in names})
    if not players:
        return
    with plotting.default_style():
        figure, axes = _make_panels(len(players))
        for axis, player in zip(axes, players, strict=True):
            for name in (name for name in names if name.startswith(player + "/")):
                # Drawn first, so that the lines of the run that counts lie above.
                axis.plot(*points(rolled_back, name), **_ROLLED_BACK)
                axis.plot(*points(lines, name), label=name.split("/", 1)[1], linewidth=1)
            axis.set_title(player, loc="left")
        _write(figure, axes, path)


def plot_quality(path: pathlib.Path, lines: Lines, rolled_back: Lines = ()) -> None:
    """Plot KID with its interval, precision and its relatives, and diversity. Nothing is written without a KID."""
    kid = log_lines.kid_name(lines)
    if kid is None:
        return
    with plotting.default_style():
        _plot_quality(path, kid, lines, rolled_back)


def _plot_quality(path: pathlib.Path, kid: str, lines: Lines, rolled_back: Lines) -> None:
    feature_network = kid.split("kid_")[1]
    figure, axes = _make_panels(3)
    _plot_kid(axes[0], kid, lines, rolled_back)
    for name in ("precision", "recall", "density", "coverage"):
        axes[1].plot(*points(lines, f"evaluation/{name}_{feature_network}"), marker=".", linewidth=1, label=name)
    axes[1].set_title("1 is good", loc="left")
    axes[2].plot(*points(rolled_back, "samples/diversity"), **_ROLLED_BACK)
    axes[2].plot(*points(lines, "samples/diversity"), linewidth=1, label="pixels of 64 samples")
    diversity = points(lines, f"evaluation/diversity_{feature_network}")
    axes[2].plot(*diversity, marker=".", linewidth=1, label=feature_network)
    axes[2].set_title("diversity, 1 for real images", loc="left")
    _write(figure, axes, path)


def _plot_kid(axis: "Axes", kid: str, lines: Lines, rolled_back: Lines) -> None:
    steps, values = points(lines, kid)
    axis.plot(*points(rolled_back, kid), **_ROLLED_BACK)
    axis.plot(steps, values, marker=".", linewidth=1)
    # A value whose interval is not finite has none in the log.
    with_interval = [line for line in lines if f"{kid}_low" in line and f"{kid}_high" in line]
    ends, low = points(with_interval, f"{kid}_low")
    axis.fill_between(ends, low, points(with_interval, f"{kid}_high")[1], alpha=0.2)
    best = min(range(len(values)), key=values.__getitem__)
    label = f"best: {values[best]:.4f} at step {steps[best]:,}"
    axis.plot(steps[best], values[best], "*", markersize=12, label=label)
    axis.set_title(f"{kid.split('/')[1]}, smaller is better", loc="left")


def _make_panels(count: int) -> tuple["Figure", list["Axes"]]:
    """Return a figure and its panels, one below the other."""
    from matplotlib.figure import Figure  # by now, plotting has imported matplotlib

    # Without pyplot, which keeps each figure until it is closed and may look for a display.
    figure = Figure(figsize=(9, 3 * count), layout="tight")
    return figure, list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])


def _write(figure: "Figure", axes: list["Axes"], path: pathlib.Path) -> None:
    for axis in axes:
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    with files.atomic_write(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
