"""What a person at a terminal sees of a run: a block of lines that is always up to date, below all messages."""

import collections
import contextlib
import functools
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from logogan_jax.core.progress import Bar, is_hushed, is_live
from logogan_jax.training.reporting import log_lines, messages
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.log_lines import Lines

_HEIGHTS = "▁▂▃▄▅▆▇█"
_SHOWN = 32  # log lines of a sparkline
_BAR = 40  # columns
_REFRESHES = 4  # per second


class Screen:
    """Shows the steps, the pace, the losses and the evaluations of a run; use it as a context manager.

    On a terminal it is a block that is drawn anew in place. Elsewhere it prints what a Bar prints.

    Args:
        total: the last step.
        silent: print nothing at all: another process does. Where bars are hushed, warnings and the end are printed.
    """

    def __init__(self, total: int, *, silent: bool = False):
        self._console = Console(stderr=True, highlight=False, quiet=silent)
        self._silent = silent
        self._quiet = silent or is_hushed()
        self._total = total
        self._step = 0
        self._pace = ""
        self._evaluation = ""
        self._event = ""
        self._losses: dict[str, collections.deque[float]] = {}
        self._stack = contextlib.ExitStack()
        live = is_live(self._console) and not self._quiet
        block = functools.partial(Live, console=self._console, get_renderable=self._draw)
        self._live = block(refresh_per_second=_REFRESHES) if live else None
        self._bar = Bar("step", total, unit="steps", quiet=self._quiet)

    def __enter__(self) -> Self:
        if self._live:
            before = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
            self._stack.enter_context(self._live)
            # After Live has put its own streams there, through which lines reach the terminal above the block.
            self._stack.enter_context(_logging_follows(before))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._stack.close()

    def say(self, line: str) -> None:
        """Print a line above the block."""
        if not self._quiet:
            self._print(line)

    def warn(self, line: str) -> None:
        """Print a line above the block, and keep it as the last event there."""
        self._event = line
        self._print(line)

    def end(self, text: str) -> None:
        """Print on stdout how the run has ended; of several lines only the first where bars are hushed."""
        if not self._silent:
            print(text.splitlines()[0] if self._quiet else text)

    def update(self, step: int) -> None:
        """Show that a step is done."""
        self._step = step
        if not self._live:
            self._bar.update(step)

    def show_line(
        self, step: int, values: Mapping[str, float], pace: float, seconds_left: float, budget: Budget
    ) -> None:
        """Show what the log says at a step: losses by name, images a second, seconds to the end, and the cost."""
        self._step = step
        # Kept as text: the block is drawn several times a second, also where nothing new is known.
        self._pace = messages.pace(pace, seconds_left, budget)
        for name, value in messages.losses(values).items():
            # A curve has no height for what is not finite. The guard speaks of it.
            if math.isfinite(value):
                self._losses.setdefault(name, collections.deque(maxlen=_SHOWN)).append(value)
        if not self._live:
            self._bar.update(step, messages.progress(values, pace, seconds_left, budget))

    def show_evaluations(self, lines: Lines) -> None:
        """Show the newest evaluation of the log, and the best one if that is another."""
        kid = log_lines.kid_name(lines)
        if kid is None:
            return
        measured = [line for line in lines if kid in line]
        best = min(measured, key=lambda line: line[kid])
        self._evaluation = messages.describe_kid(measured[-1], kid)
        if best is not measured[-1]:
            self._evaluation += f", best {best[kid]:.4f} at step {best['step']:,}"

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        """Return the block."""
        head = Table.grid(padding=(0, 1))
        share = self._step / max(self._total, 1)
        bar = ProgressBar(self._total, self._step, width=min(_BAR, max(4, self._console.width - 40)))
        head.add_row(f"step {self._step:,} of {self._total:,}", bar, f"{share:.0%}")
        rows = [("pace", self._pace), *((name, self._loss(name)) for name in self._losses)]
        rows += [("KID", self._evaluation), ("event", self._event)]
        width = max(len(name) for name, _ in rows)
        lines = [Text(f"{name:{width}}  {text}", no_wrap=True, overflow="ellipsis") for name, text in rows if text]
        return Group(head, *lines)

    def _loss(self, name: str) -> str:
        values = list(self._losses[name])
        # A terminal that has no such characters shows the number alone.
        curve = "" if self._console.options.ascii_only else sparkline(values)
        return f"{values[-1]:<10.3f}{curve}".rstrip()


def sparkline(values: Sequence[float]) -> str:
    """Return a character for each of some finite values, the higher the larger."""
    low = min(values) / 8
    reach = max(values) / 8 - low  # divided first: the difference of two large numbers is not finite
    return "".join(_HEIGHTS[min(int(8 * ((value / 8 - low) / reach)), 7) if reach else 0] for value in values)


@contextlib.contextmanager
def _logging_follows(before: Sequence[TextIO | None]) -> Iterator[None]:
    """Let loggers that write to one of the streams of `before` write to today's sys.stderr until the block ends."""
    moved = []
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        for handler in getattr(logger, "handlers", ()):
            inner = getattr(handler, "python_handler", handler)  # absl wraps one
            if isinstance(inner, logging.StreamHandler) and inner.stream in before:
                moved.append((inner, inner.stream))
                inner.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in moved:
            handler.setStream(stream)
