"""Curves of a run's log lines, as PNG files."""

from logogan_jax.core import files

_PALE = {"linewidth": 0.8, "alpha": 0.3, "color": "grey"}  # what was rolled back


def plot_losses(path, lines, gone=()):
    """One panel per player: its numbers, gradient norms apart, against the step; `gone` are lines rolled back."""
    names = sorted({name for line in lines for name in line if _of_player(name)})
    players = sorted({name.split("/")[0] for name in names})
    if not players:
        return
    figure, axes = _panels(len(players))
    for axis, player in zip(axes, players, strict=True):
        for name in (name for name in names if name.startswith(player + "/")):
            axis.plot(*_points(gone, name), **_PALE)
            axis.plot(*_points(lines, name), label=name.split("/", 1)[1], linewidth=1)
        axis.set_title(player, loc="left")
        axis.legend(frameon=False)
    _write(figure, axes, path)


def plot_quality(path, lines, gone=()):
    """The kernel distance with its interval and its best, shares of quality, and the samples' diversity."""
    kid = next((name for line in lines for name in line if _is_kid(name)), None)
    if kid is None:
        return
    figure, axes = _panels(3)
    steps, values = _points(lines, kid)
    axes[0].plot(*_points(gone, kid), **_PALE)
    axes[0].plot(steps, values, marker=".", linewidth=1)
    axes[0].fill_between(steps, _points(lines, f"{kid}_low")[1], _points(lines, f"{kid}_high")[1], alpha=0.2)
    best = min(range(len(values)), key=values.__getitem__)
    label = f"best: {values[best]:.4f} at step {steps[best]:,}"
    axes[0].plot(steps[best], values[best], "*", markersize=12, label=label)
    axes[0].set_title(f"{kid.split('/')[1]}, smaller is better", loc="left")
    network = kid.split("kid_")[1]
    for name in ("precision", "recall", "density", "coverage"):
        axes[1].plot(*_points(lines, f"evaluation/{name}_{network}"), marker=".", linewidth=1, label=name)
    axes[1].set_title("1 is good", loc="left")
    axes[2].plot(*_points(gone, "samples/diversity"), **_PALE)
    axes[2].plot(*_points(lines, "samples/diversity"), linewidth=1, label="pixels of 64 samples")
    axes[2].plot(*_points(lines, f"evaluation/diversity_{network}"), marker=".", linewidth=1, label=network)
    axes[2].set_title("diversity, that of real images is 1", loc="left")
    for axis in axes:
        axis.legend(frameon=False)
    _write(figure, axes, path)


def _of_player(name):
    return "/" in name and "/gradient_norm/" not in name and name.split("/")[0] not in ("evaluation", "samples")


def _is_kid(name):
    return name.startswith("evaluation/kid_") and not name.endswith(("_low", "_high"))


def _points(lines, name):
    found = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in found], [value for _, value in found]


def _panels(count):
    from matplotlib.figure import Figure  # half a second that the first step need not wait for

    figure = Figure(figsize=(9, 3 * count), layout="tight")
    return figure, figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]


def _write(figure, axes, path):
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("step")
    with files.atomic_write(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
