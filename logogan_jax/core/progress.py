"""What a person sees while a command works: a bar on a terminal, plain lines in a log."""

import contextlib
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from logogan_jax.core import timing

HEARTBEAT = 20.0  # seconds between plain lines


_hushed: list[None] = []  # one for each `hushed` that goes on


@contextlib.contextmanager
def hushed(hush: bool = True) -> Iterator[None]:
    """Let the bars that are made in the block be quiet, if `hush`."""
    if hush:
        _hushed.append(None)
    try:
        yield
    finally:
        if hush:
            _hushed.pop()


def is_hushed() -> bool:
    """Return whether bars are quiet now."""
    return bool(_hushed)


def is_live(console: Console) -> bool:
    """Return whether a console can draw lines anew in place."""
    return console.is_terminal and not console.is_dumb_terminal


class Bar:
    """A bar for `total` units called `unit`, of which `done` were done before; use it as a context manager.

    Without a terminal it prints a plain line every HEARTBEAT seconds; if it is `quiet` it prints nothing.
    """

    def __init__(self, title: str, total: int, done: int = 0, unit: str = "images", *, quiet: bool = False):
        quiet = quiet or is_hushed()
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._quiet = quiet
        self._title = title
        self._total = total
        self._unit = unit
        self._start_time: float | None = None  # of the first update
        self._start_done = done
        self._last_line = time.monotonic()
        self._text = ""
        text = TextColumn("{task.fields[text]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), text)
        self._bar = Progress(*columns, console=self._console, disable=not is_live(self._console))
        self._task = self._bar.add_task(title, total=total, completed=done, text="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._bar.stop()

    def update(self, done: int, text: str | None = None) -> None:
        """Show `done` units and a text, which stays until the next one; without any, their rate and the time left."""
        now = time.monotonic()
        if self._start_time is None:  # the time before the first unit, as for compiling, would spoil the rate
            self._start_time = now
            self._start_done = done
        self._text = text or self._text
        shown = self._text or self._rate(done, now - self._start_time)
        self._bar.update(self._task, completed=done, text=shown)
        due = now - self._last_line >= HEARTBEAT or done == self._total
        if due and not (self._quiet or is_live(self._console)):
            self._last_line = now
            print(f"{self._title} {done}/{self._total}  {shown}", file=sys.stderr, flush=True)

    def _rate(self, done: int, seconds: float) -> str:
        rate = (done - self._start_done) / max(seconds, 1e-9)
        if rate <= 0:
            return ""
        text = f"{rate:,.0f} {self._unit}/s" if rate >= 1 else f"{1 / rate:,.1f} s per {self._unit.rstrip('s')}"
        return f"{text}, {timing.format_duration((self._total - done) / rate)} left"

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, markup=False, soft_wrap=True)
