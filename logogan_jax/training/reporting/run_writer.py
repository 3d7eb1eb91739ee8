"""The files that a run writes while it goes on: JSON lines, TensorBoard events and images."""

import concurrent.futures
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from logogan_jax.core import files, images
from logogan_jax.core.errors import UserError
from logogan_jax.training.reporting import plots

if TYPE_CHECKING:
    from logogan_jax.training.reporting.tensorboard import TensorBoardWriter


class RunWriter:
    """Writer of the files of one run, from a step on. Older lines of later steps are removed.

    `lines` are the lines of metrics.jsonl. `events` are those of events.jsonl: warnings, roll-backs and stops.
    `seconds` and `dollars` are what the run had taken and cost at that step. Images are drawn in a thread, so that
    the devices do not wait. An error in the thread is raised by the next image, or by `close`.
    """

    def __init__(self, workdir: pathlib.Path, step: int) -> None:
        self._workdir = workdir
        self._metrics_path = workdir / "metrics.jsonl"
        self._events_path = workdir / "events.jsonl"
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="report")
        self._drawing: concurrent.futures.Future[None] | None = None
        (workdir / "samples").mkdir(exist_ok=True)
        self.lines = read_lines(self._metrics_path)
        self.events = _drop_repeated(read_lines(self._events_path), step)
        _write_lines(self._events_path, self.events)
        self._drop_lines_after(step)
        self._tensorboard = self._open_tensorboard(step)
        self.seconds = max((line["seconds"] for line in self.lines if "seconds" in line), default=0.0)
        self.dollars = max((line["dollars"] for line in self.lines if "dollars" in line), default=0.0)

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one line of numbers by name to metrics.jsonl and to TensorBoard."""
        self.lines.append({"step": step, **values})
        _append_line(self._metrics_path, self.lines[-1])
        self._tensorboard.write_scalars(step, values)

    def write_event(self, step: int, action: str, **values: Any) -> None:
        """Add what was done about the run at a step to events.jsonl."""
        self.events.append({"step": step, "action": action, **values})
        _append_line(self._events_path, self.events[-1])

    def truncate_after(self, step: int) -> None:
        """Go back to a step: the lines after it move to rolled_back.jsonl, which the plots show in pale grey."""
        for line in self.lines:
            if line["step"] > step:
                _append_line(self._workdir / "rolled_back.jsonl", line)
        self._drop_lines_after(step)
        self._tensorboard.close()
        self._tensorboard = self._open_tensorboard(step)

    def write_image_grid(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Write images uint8[n, H, W, C] as one grid to `name`.png and to TensorBoard."""
        self._draw(self._draw_image_grid, step, name, pixels)

    def write_plots(self) -> None:
        """Draw losses.png and quality.png from all lines until now."""
        lines = list(self.lines)  # a copy, because the list grows while the thread draws
        rolled_back = read_lines(self._workdir / "rolled_back.jsonl")
        self._draw(plots.plot_losses, self._workdir / "losses.png", lines, rolled_back)
        self._draw(plots.plot_quality, self._workdir / "quality.png", lines, rolled_back)

    def close(self) -> None:
        """Finish the images that are being drawn."""
        self._thread.shutdown(wait=True)
        self._tensorboard.close()
        if self._drawing:
            self._drawing.result()

    def _open_tensorboard(self, step: int) -> "TensorBoardWriter":
        # tensorboardX imports the libraries of object stores, a second that only a run which trains has to wait for.
        from logogan_jax.training.reporting import tensorboard

        return tensorboard.TensorBoardWriter(self._workdir / "tensorboard", step + 1)

    def _drop_lines_after(self, step: int) -> None:
        self.lines = [line for line in self.lines if line["step"] <= step]
        _write_lines(self._metrics_path, self.lines)

    def _draw_image_grid(self, step: int, name: str, pixels: np.ndarray) -> None:
        images.write_image_grid(self._workdir / f"{name}.png", pixels)
        grid = images.make_grid(pixels, columns=images.grid_columns(len(pixels), pixels.shape[1:3]))
        # All samples are one image in TensorBoard, with a slider for the step: samples/000100 becomes samples.
        self._tensorboard.write_image(step, name.split("/")[0], grid)

    def _draw(self, function: Callable[..., None], *arguments: Any) -> None:
        # A failure, such as a full disk, is raised here, in the thread that can end the run.
        if self._drawing and self._drawing.done():
            self._drawing.result()
        self._drawing = self._thread.submit(function, *arguments)


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return the complete lines of a metrics.jsonl. An incomplete last line, of a killed run, is left out.

    Raises UserError if the file is damaged.
    """
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): move it away to go on without its history") from None


def _drop_repeated(events: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """Drop the events after a step, from which the run goes on: they will happen again.

    Events up to the last roll-back stay even if their step is later, because the run went back from there.
    """
    roll_backs = [i for i, event in enumerate(events) if event["action"] == "roll back"]
    first = roll_backs[-1] + 1 if roll_backs else 0
    return events[:first] + [event for event in events[first:] if event["step"] <= step]


def _append_line(path: pathlib.Path, line: Mapping[str, Any]) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def _write_lines(path: pathlib.Path, lines: list[dict[str, Any]]) -> None:
    if lines or path.exists():
        with files.atomic_write(path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
