"""What a run writes at its log lines and pictures: metrics, pace, time and cost, for files and for the terminal."""

import time

import numpy as np

from logogan_jax.core import timing
from logogan_jax.core.progress import Bar
from logogan_jax.training.reporting import messages
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.run_writer import RunWriter


class RunLog:
    """Writes log lines and pictures.

    Args:
        images_per_step: real images that a step looks at.
        last: the last step of the run.
    """

    def __init__(self, writer: RunWriter, bar: Bar, budget: Budget, *, images_per_step: int, last: int):
        self._writer = writer
        self._bar = bar
        self._budget = budget
        self._images_per_step = images_per_step
        self._last = last
        self._began = time.perf_counter()
        self._throughput = timing.Throughput(0)

    def restart(self, step: int) -> None:
        """Measure the pace from this step and moment on."""
        # A roll-back goes to a smaller step: counted from the old one, the pace would be negative.
        self._throughput = timing.Throughput(step)

    def exclude(self, seconds: float) -> None:
        """Leave seconds that were not spent on steps out of the pace."""
        self._throughput.exclude(seconds)

    def advance(self, step: int) -> None:
        """Show that a step is done."""
        self._bar.update(step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write the line of a step."""
        images_per_second, seconds_left = self._throughput.read(step, self._images_per_step, self._last)
        # With the time before this process, so that the log of a resumed run goes on.
        seconds = self._writer.seconds + time.perf_counter() - self._began
        line = {"seconds": seconds, "images_per_second": images_per_second}
        if self._budget.price:
            line["dollars"] = self._budget.spent()
        self._writer.write_scalars(step, line | values)
        self._bar.update(step, messages.progress(values, images_per_second, seconds_left, self._budget))

    def write_pictures(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Write uint8[n, H, W, C] as `name`.png in the run's folder."""
        self._writer.write_image_grid(step, name, pixels)

    def write_plots(self) -> None:
        """Draw losses.png and quality.png anew."""
        self._writer.write_plots()
