"""The page of one run: a single file that shows how it goes, written anew while it trains."""

import json
import pathlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from logogan_jax.core import files, pages, timing
from logogan_jax.training.reporting import log_lines, run_charts, run_tables, thumbnails
from logogan_jax.training.reporting.log_lines import Lines

NAME = "report.html"
RUNNING = "running"
# The page holds its facts as JSON, too: whoever asks for them need not read HTML.
_FACTS = re.compile(r'<script type="application/json" id="run">(.*?)</script>', re.DOTALL)


class Setting(NamedTuple):
    """A key of a config: its value, its default ("" if it has none), and whether they differ."""

    key: str
    value: str
    default: str
    changed: bool


class About(NamedTuple):
    """What a page tells of a run that does not change while it trains.

    Attributes:
        name: of the run.
        subject: objective, networks and data, in a line.
        settings: of the config.
        enlarged: times that the pixels of its pictures are repeated in their files.
    """

    name: str
    subject: str
    settings: list[Setting]
    enlarged: int


class Moment(NamedTuple):
    """How far a run is when its page is written, which the page holds for programs, too.

    Attributes:
        status: "running", "finished", "diverged", or by what it was stopped.
        step: steps done.
        steps: steps of the whole run.
        seconds_left: None where that is not known.
        dollars: cost until now, None without a price.
        dollars_total: expected cost of the whole run.
        environment: devices and versions, as in summary.json.
        written: seconds since 1970.
    """

    status: str
    step: int
    steps: int
    seconds_left: float | None
    dollars: float | None
    dollars_total: float | None
    environment: dict[str, Any]
    written: float


def write(
    path: pathlib.Path,
    about: About,
    moment: Moment,
    lines: Lines,
    rolled_back: Lines,
    events: Sequence[Mapping[str, Any]],
) -> None:
    """Write the page of the run in whose folder `path` lies, from its log, its pictures and its evaluation.json.

    Grids that are in the page already are taken from there: a page costs no more at the end of a long run.
    """
    known = thumbnails.read_embedded(_read(path))
    page = render(path.parent, known, about, moment, lines, rolled_back, events)
    with files.atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")


def read_moment(path: pathlib.Path) -> Moment | None:
    """Return the Moment at which a page was written; None where there is no page that tells it."""
    found = _FACTS.search(_read(path))
    try:
        # A page of another version may have other facts.
        return Moment(**json.loads(found[1])) if found else None
    except (ValueError, TypeError):
        return None


def render(
    folder: pathlib.Path,
    known: dict[str, str],
    about: About,
    moment: Moment,
    lines: Lines,
    rolled_back: Lines,
    events: Sequence[Mapping[str, Any]],
) -> str:
    """Return the page as HTML; `known` are the grids of thumbnails.read_embedded."""
    evaluation = run_tables.read_evaluation(folder / "evaluation.json")
    grid = lambda name: thumbnails.thumbnail(folder / name, known, about.enlarged)
    # The grids are files of the folder, not of this process: a resumed run shows those of before, too.
    steps = thumbnails.sample_steps(folder / "samples", moment.step)
    shown = [(step, grid(f"samples/{step:06d}.png")) for step in thumbnails.shown_steps(steps)]
    best = run_tables.best_step(lines)
    log, gone = log_lines.columns(lines), log_lines.columns(rolled_back)
    return pages.render(
        "run.html.j2",
        title=f"{about.name}: report",
        about=about,
        moment=moment._asdict(),
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment.written)),
        boxes=_boxes(moment, lines, evaluation),
        # A grid that has no picture was deleted by the user.
        slides=[(step, one) for step, one in shown if one],
        grids=len(steps),
        best=best,
        best_grid=grid("samples/best.png") if best is not None else None,
        reals=grid("reals.png"),
        quality=run_charts.quality(log, gone, events, moment.step),
        curves=run_charts.curves(log, gone, events, moment.step),
        evaluations=run_tables.evaluations(lines),
        events=run_tables.events(events),
        older_events=max(0, len(events) - run_tables.MOST_EVENTS),
        evaluation=evaluation,
        machine=run_tables.machine(moment.environment),
        script=pages.script("slides.js"),
    )


def _boxes(moment: Moment, lines: Lines, evaluation: run_tables.Evaluation | None) -> list[tuple[str, str, str]]:
    """Return (class, number, text) of each number at the top of the page."""
    share = moment.step / max(moment.steps, 1)
    boxes = [
        run_tables.status_box(moment.status),
        ("", f"{moment.step:,}", f"of {moment.steps:,} steps, {share:.0%}"),
    ]
    # A run that has ended, however it ended, has no time left.
    if moment.seconds_left is not None and moment.status == RUNNING:
        boxes.append(("", timing.format_duration(moment.seconds_left), "left"))
    boxes += run_tables.pace_boxes(lines)
    if moment.dollars is not None:
        total = f"of ${moment.dollars_total:,.2f} in the end" if moment.dollars_total else "spent"
        boxes.append(("", f"${moment.dollars:,.2f}", total))
    boxes += run_tables.best_boxes(lines)
    if evaluation and evaluation.copies:
        boxes.append(evaluation.copies)
    return boxes


def _read(path: pathlib.Path) -> str:
    try:
        # A page that was damaged on the disk must not end the run that writes it anew.
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
