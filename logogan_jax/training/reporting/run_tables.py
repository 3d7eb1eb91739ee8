"""The numbers and tables of a run's page: evaluations, events, copies, machine."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from logogan_jax.core import timing
from logogan_jax.training.reporting import log_lines
from logogan_jax.training.reporting.log_lines import Line, Lines

MOST_ROWS = 30  # of the table of evaluations
MOST_EVENTS = 100

Box = tuple[str, str, str]  # class, number, text


class Table(NamedTuple):
    """A table: its head, its rows of cells, and the number of the row that is the best, or None."""

    head: list[str]
    rows: list[list[str]]
    best: int | None
    left_out: int


class Evaluation(NamedTuple):
    """What the command evaluate has found: where, in a table, and the copies of training images."""

    about: str
    table: Table
    copies: Box | None
    told: str


def status_box(status: str) -> Box:
    """Return the box of a status."""
    # Whatever else ended a run, a signal or an error, may be gone on with.
    kind = {"running": "", "finished": "good", "diverged": "bad"}.get(status, "doubt")
    word, _, why = status.partition(" by ")
    return kind, word, f"by {why}" if why else "status"


def pace_boxes(lines: Lines) -> list[Box]:
    """Return the boxes of the newest pace and of the time that the run has taken."""
    newest = next((line for line in reversed(lines) if "images_per_second" in line), None)
    if newest is None:
        return []
    boxes = [("", f"{newest['images_per_second']:,.0f}", "images a second")]
    return boxes + ([("", timing.format_duration(newest["seconds"]), "taken")] if "seconds" in newest else [])


def best_boxes(lines: Lines) -> list[Box]:
    """Return the box of the best kernel distance, or nothing without any."""
    kid = log_lines.kid_name(lines)
    best = _best(lines)
    if kid is None or best is None:
        return []
    # An interval that is not finite is not in the log.
    interval = f"{best[f'{kid}_low']:.4f} to {best[f'{kid}_high']:.4f}, " if f"{kid}_low" in best else ""
    return [("good", f"{best[kid]:.4f}", f"best KID, {interval}at step {best['step']:,}")]


def best_step(lines: Lines) -> int | None:
    """Return the step of the best evaluation, or None without any."""
    best = _best(lines)
    return best["step"] if best else None


def evaluations(lines: Lines) -> Table | None:
    """Return a table of the evaluations with their intervals; of many the best, the newest and some between."""
    kid = log_lines.kid_name(lines)
    if kid is None:
        return None
    measured = [line for line in lines if kid in line]
    best = _best(lines)
    stride = -(-len(measured) // MOST_ROWS)
    # Counted from the end, so that the newest is always there.
    kept = [line for i, line in enumerate(reversed(measured)) if i % stride == 0 or line is best]
    # In the order of the log, which has the distances first.
    names = list(dict.fromkeys(name for line in measured for name in line if name.startswith("evaluation/")))
    names = [name for name in names if not name.endswith(("_low", "_high", "/seconds"))]
    return Table(
        head=["step", *(name.removeprefix("evaluation/") for name in names)],
        rows=[[f"{line['step']:,}", *(_with_interval(line, name) for name in names)] for line in kept],
        best=next(i for i, line in enumerate(kept) if line is best),
        left_out=len(measured) - len(kept),
    )


def events(all_events: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return (class, step, what was done, why) of the newest events, the newest first."""
    return [_event(event) for event in reversed(all_events[-MOST_EVENTS:])]


def machine(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of what a run trains on, from the environment of its summary."""
    # Versions come last, each in a row of its own.
    rows = [(name.replace("_", " "), str(value)) for name, value in environment.items() if name != "versions"]
    return rows + [(name, str(value)) for name, value in environment.get("versions", {}).items()]


def read_evaluation(path: pathlib.Path) -> Evaluation | None:
    """Return what an evaluation.json tells; None where there is none that can be read."""
    try:
        # Another command wrote it, perhaps of another version: what it lacks must not end a run.
        found = json.loads(path.read_text(encoding="utf-8"))
        columns = found["against"]
        names = list(dict.fromkeys(name for column in columns.values() for name in _metrics(column)))
        # A metric may be in one column alone.
        rows = [[name, *(_estimate(column.get(name)) for column in columns.values())] for name in names]
        counts = ["images", *(f"{column['n']:,} against {column['n_against']:,}" for column in columns.values())]
        table = Table(["", *columns], [counts, *rows], None, 0)
        return Evaluation(f"step {found['step']:,}", table, *_copies(found.get("copies")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _best(lines: Lines) -> Line | None:
    kid = log_lines.kid_name(lines)
    return min((line for line in lines if kid in line), key=lambda line: line[kid], default=None) if kid else None


def _with_interval(line: Line, name: str) -> str:
    if name not in line:
        return ""
    ends = (line.get(f"{name}_low"), line.get(f"{name}_high"))
    return _estimate({"value": line[name], "low": ends[0], "high": ends[1]})


def _estimate(estimate: Mapping[str, float | None] | None) -> str:
    """Return a value with its interval; nothing for what is not finite."""
    if not estimate or estimate["value"] is None:
        return ""
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.4f}"
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"


def _metrics(column: Mapping[str, Any]) -> list[str]:
    return [name for name, value in column.items() if isinstance(value, dict)]


def _copies(copies: Mapping[str, Any] | None) -> tuple[Box | None, str]:
    """Return the box of the copies, and a sentence about them."""
    if not copies:
        return None, ""
    share = copies["share"]
    interval = f"{share['low']:.1%} to {share['high']:.1%}"
    told = (
        f"{copies['count']:,} of {copies['n']:,} pictures are copies of training images, {share['value']:.1%} "
        f"({interval}); {copies['false_alarm_rate']:.1%} of new logos would count as such."
    )
    return ("bad" if copies["count"] else "good", f"{share['value']:.1%}", f"copies, {interval}"), told


def _event(event: Mapping[str, Any]) -> tuple[str, str, str, str]:
    step = f"{event['step']:,}"
    if event["action"] == "roll back":
        return "doubt", step, f"went back to step {event['to']:,}, learning rates x {event['rate']:g}", event["reason"]
    done = {"warn": "warned", "stop": "stopped"}.get(event["action"], event["action"])
    return "bad" if event["action"] == "stop" else "doubt", step, str(done), event.get("reason", "")
