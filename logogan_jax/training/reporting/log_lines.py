"""What is in a run's log lines: the curves of its metrics, and which of its evaluations is the best."""

from collections.abc import Sequence
from typing import Any

Line = dict[str, Any]  # {"step": int, name: float, ...}
Lines = Sequence[Line]
Columns = dict[str, tuple[list[int], list[float]]]  # {name: (steps, values)}


def points(lines: Lines, name: str) -> tuple[list[int], list[float]]:
    """Return the steps of the lines that hold a metric, and its values."""
    pairs = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in pairs], [value for _, value in pairs]


def columns(lines: Lines) -> Columns:
    """Return the steps and values of every metric, as `points` does of one, in a single pass over a long log."""
    found: Columns = {}
    for line in lines:
        step = line["step"]
        for name, value in line.items():
            steps, values = found.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)
    found.pop("step", None)
    return found


def names(lines: Lines) -> list[str]:
    """Return the names of all metrics, sorted."""
    return sorted({name for line in lines for name in line} - {"step"})


def is_player_metric(name: str) -> bool:
    """Return whether a metric is a player's, such as critic/loss, and no gradient norm."""
    return "/" in name and "/gradient_norm/" not in name and name.split("/")[0] not in ("evaluation", "samples")


def kid_name(lines: Lines) -> str | None:
    """Return the name of the kernel distance in the log, or None where nothing was evaluated."""
    # It ends with the name of the feature network, which a config chooses.
    return next((name for line in lines for name in line if _is_kid(name)), None)


def _is_kid(name: str) -> bool:
    return name.startswith("evaluation/kid_") and not name.endswith(("_low", "_high"))
