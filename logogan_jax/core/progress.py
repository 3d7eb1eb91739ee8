"""What a person sees while a run goes on: a bar on a terminal, plain lines in a log."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from logogan_jax.core import timing

HEARTBEAT = 20.0  # seconds between plain lines


class Bar:
    """Progress of `total` units called `unit`, from `done`, or `quiet`; use as a context manager."""

    def __init__(self, title, total, done=0, unit="images", *, quiet=False):
        self._console, self._quiet = Console(stderr=True, highlight=False, quiet=quiet), quiet
        self._title, self._total, self._unit = title, total, unit
        self._start, self._first, self._spoke, self._text = None, done, time.monotonic(), ""
        text = TextColumn("{task.fields[text]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), text)
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(title, total=total, completed=done, text="")

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def update(self, done, text=None):
        """Show `done` units and a text, which stays until the next; without any, their rate and the time left."""
        if self._start is None:  # what comes before the first unit, such as compiling, is no pace
            self._start, self._first = time.monotonic(), done
        self._text = text or self._text
        shown = self._text or self._rate(done)
        self._bar.update(self._task, completed=done, text=shown)
        due = time.monotonic() - self._spoke >= HEARTBEAT or done == self._total
        if due and not (self._quiet or self._console.is_terminal):
            self._spoke = time.monotonic()
            print(f"{self._title} {done}/{self._total}  {shown}", file=sys.stderr, flush=True)

    def _rate(self, done):
        pace = (done - self._first) / max(time.monotonic() - self._start, 1e-9)
        if pace <= 0:
            return ""
        rate = f"{pace:,.0f} {self._unit}/s" if pace >= 1 else f"{1 / pace:,.1f} s per {self._unit.rstrip('s')}"
        return f"{rate}, {timing.format_duration((self._total - done) / pace)} left"

    def say(self, line):
        """Print a line above the bar."""
        self._console.print(line, markup=False, soft_wrap=True)
