"""What a run writes at its log lines and pictures: metrics, pace, time and cost, for files and for the terminal."""

import contextlib
import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from logogan_jax.core import errors, timing
from logogan_jax.core.errors import Diverged
from logogan_jax.distributed import multihost
from logogan_jax.training.reporting import messages, run_page
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.run_page import About, Moment
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.reporting.screen import Screen


class RunLog:
    """Writes log lines, pictures and the run's page; as a context manager, also what error has ended the run.

    Args:
        about: what the page tells of the run.
        environment: devices and versions, as summary.json has them.
        images_per_step: real images that a step looks at.
        start: the step from which the run goes on.
        last: the last step of the run.
    """

    def __init__(
        self,
        writer: RunWriter,
        screen: Screen,
        budget: Budget,
        about: About,
        environment: Mapping[str, Any],
        *,
        images_per_step: int,
        start: int,
        last: int,
    ):
        self._about = about
        self._environment = dict(environment)
        self._step = start
        self._seconds_left: float | None = None
        self._writer = writer
        self._screen = screen
        self._budget = budget
        self._images_per_step = images_per_step
        self._last = last
        self._began = time.perf_counter()
        self._throughput = timing.Throughput(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if error is None:
            return
        error = errors.interruption(error) or error
        reason = "".join(f": {line}" for line in str(error).splitlines()[:1])
        status = "diverged" if isinstance(error, Diverged) else f"stopped by {type(error).__name__}{reason}"
        # The error that ends the run is what the user has to read, not one of its page.
        with contextlib.suppress(OSError):  # of a full disk, as the error itself may be
            self.write_page(self._step, status)

    def restart(self, step: int) -> None:
        """Measure the pace from this step and moment on, and let the page show where the run is."""
        # A roll-back goes to a smaller step: counted from the old one, the pace would be negative.
        self._throughput = timing.Throughput(step)
        self._step = step
        self.write_page(step)

    def exclude(self, seconds: float) -> None:
        """Leave seconds that were not spent on steps out of the pace."""
        self._throughput.exclude(seconds)

    def advance(self, step: int) -> None:
        """Show that a step is done."""
        self._step = step
        self._screen.update(step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write the line of a step."""
        images_per_second, seconds_left = self._throughput.read(step, self._images_per_step, self._last)
        # JSON has no infinity.
        self._seconds_left = seconds_left if math.isfinite(seconds_left) else None
        # With the time before this process, so that the log of a resumed run goes on.
        seconds = self._writer.seconds + time.perf_counter() - self._began
        line = {"seconds": seconds, "images_per_second": images_per_second}
        if self._budget.price:
            line["dollars"] = self._budget.spent()
        self._writer.write_scalars(step, line | values)
        self._screen.show_line(step, values, images_per_second, seconds_left, self._budget)

    def evaluated(self, step: int) -> None:
        """Show that an evaluation was written, at the latest step."""
        self._screen.show_evaluations(self._writer.lines)
        if warning := messages.warn_of_overfitting(self._writer.lines):
            self._screen.warn(warning)
        self.write_page(step)

    def write_pictures(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Write uint8[n, H, W, C] as `name`.png in the run's folder."""
        self._writer.write_image_grid(step, name, pixels)

    def write_plots(self) -> None:
        """Draw losses.png and quality.png anew."""
        self._writer.write_plots()

    def write_page(self, step: int, status: str = run_page.RUNNING) -> None:
        """Write report.html anew, once the pictures until now are drawn."""
        if not multihost.is_primary():  # the others have no folder that stays
            return
        left = self._seconds_left
        price = self._budget.price
        self._writer.write_page(
            self._about,
            Moment(
                status=status,
                step=step,
                steps=self._last,
                seconds_left=left,
                dollars=self._budget.spent() if price else None,
                dollars_total=self._budget.total(left) if price and left is not None else None,
                environment=self._environment,
                written=time.time(),
            ),
        )
