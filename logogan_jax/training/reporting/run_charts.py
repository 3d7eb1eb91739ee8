"""The charts of a run's page: quality, the losses of each player, and the other numbers of its log."""

from collections.abc import Mapping, Sequence
from typing import Any

from logogan_jax.metrics import overfitting
from logogan_jax.training.reporting import charts, log_lines
from logogan_jax.training.reporting.charts import Chart
from logogan_jax.training.reporting.log_lines import Columns

Events = Sequence[Mapping[str, Any]]

_NONE: tuple[list[int], list[float]] = ([], [])
_OF_ALL = ("gradient norms", "diversity, 1 for real images", "images per second")  # titles


def quality(log: Columns, rolled_back: Columns, events: Events, last: int) -> list[Chart]:
    """Return the charts of the evaluations, from step 0 to `last`: KID with its interval first."""
    kid = log_lines.kid_name([log])
    if kid is None:
        return []
    # All charts are of the network that ranks the states.
    network = kid.split("kid_")[1]
    named = lambda *names: {name: log.get(f"evaluation/{name}_{network}", _NONE) for name in names}
    axis = {"last": last, "cuts": _cuts(events), "dots": True}
    steps, values = log[kid]
    best = min(range(len(values)), key=values.__getitem__)
    # Only the distance by Inception's features is called FID.
    distance = "fid" if f"evaluation/fid_{network}" in log else "fd"
    found = [
        charts.chart(
            f"{kid.split('/')[1]}, smaller is better", {"KID": (steps, values)}, band=_interval(log, kid),
            best=(steps[best], values[best]), pale=[rolled_back.get(kid, _NONE)], **axis,
        ),
        charts.chart(f"{distance}_{network}, smaller is better", named(distance), **axis),
        charts.chart(
            "overfitting of the critic: 0 is none, 1 is all that it knows",
            {"overfitting": log.get(f"evaluation/{overfitting.NAME}", _NONE)},
            band=_interval(log, f"evaluation/{overfitting.NAME}"), **axis,
        ),
        charts.chart("1 is good", named("precision", "recall", "density", "coverage"), **axis),
    ]  # fmt: skip
    return [one for one in found if one]


def curves(log: Columns, rolled_back: Columns, events: Events, last: int) -> list[Chart]:
    """Return the charts of the log lines: the metrics of each player, then those of all."""
    found = [
        charts.chart(
            # One curve needs no legend: the title names it.
            f"{title}: {next(iter(group))}" if len(group) == 1 and title not in _OF_ALL else title,
            {label: log.get(name, _NONE) for label, name in group.items()},
            pale=[rolled_back.get(name, _NONE) for name in group.values()],
            last=last,
            cuts=_cuts(events),
        )
        for title, group in _groups(sorted(log)).items()
    ]
    return [one for one in found if one]


def _groups(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return {title of a chart: {label: name of a metric}}."""
    of_players = [name for name in names if log_lines.is_player_metric(name)]
    groups = {
        player: {name.split("/", 1)[1]: name for name in of_players if name.split("/")[0] == player}
        for player in sorted({name.split("/")[0] for name in of_players})
    }
    norms, diversity, pace = _OF_ALL
    groups[norms] = {name.split("/gradient_norm/")[0]: name for name in names if "/gradient_norm/" in name}
    groups[diversity] = {label: name for name in names if (label := _diversity(name))}
    groups[pace] = {"images": "images_per_second"}
    return groups


def _diversity(name: str) -> str:
    """Return what a metric of diversity looks at, or "" for another metric."""
    if name == "samples/diversity":
        return "pixels of samples"
    if name.startswith("evaluation/diversity_") and not name.endswith(("_low", "_high")):
        return name.removeprefix("evaluation/diversity_")
    return ""


def _interval(log: Columns, name: str) -> tuple[list[int], list[float], list[float]]:
    """Return the steps at which a metric has an interval, and its ends."""
    # A value whose interval is not finite has none in the log.
    high = dict(zip(*log.get(f"{name}_high", _NONE), strict=True))
    low = dict(zip(*log.get(f"{name}_low", _NONE), strict=True))
    steps = [step for step in low if step in high]
    return steps, [low[step] for step in steps], [high[step] for step in steps]


def _cuts(events: Events) -> list[int]:
    """Return the steps to which the run went back."""
    return [event["to"] for event in events if event["action"] == "roll back"]
