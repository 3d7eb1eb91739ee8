"""The files that a run writes while it goes on: JSON lines, TensorBoard events and images."""

import concurrent.futures
import errno
import json
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from logogan_jax.core import files, images, pointers
from logogan_jax.core.errors import UserError
from logogan_jax.training.reporting import plots, run_page, summary
from logogan_jax.training.reporting.run_page import About, Moment

if TYPE_CHECKING:
    from logogan_jax.training.reporting.tensorboard import TensorBoardWriter

ROLLED_BACK = "rolled_back.jsonl"
PICTURES = ("samples", "reals")  # what callbacks get besides numbers
Callback = Callable[[int, dict[str, Any]], Any]


class RunWriter:
    """Writer of the files of one run, from a step on. Older lines of later steps are removed.

    `lines` are the lines of metrics.jsonl. `events` are those of events.jsonl: warnings, roll-backs and stops.
    `seconds` is what the run had taken at that step, `dollars` what it has cost until now. Images are drawn in a
    thread, so that the devices do not wait. One that cannot be drawn is a warning by `say`, except on a full disk,
    which is raised by the next image, or by `close`. Each of the `callbacks` is called with a step and a copy of what
    is written of it: numbers by name, or pictures uint8[n, H, W, C] as "samples" or "reals".
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        step: int,
        say: Callable[[str], None] = print,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self._workdir = workdir
        self._say = say
        self._callbacks = callbacks
        self._metrics_path = workdir / "metrics.jsonl"
        self._events_path = workdir / "events.jsonl"
        # One thread: Matplotlib is not safe in several.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="report")
        self._drawings: list[tuple[str, concurrent.futures.Future[None]]] = []
        self._warned: set[str] = set()
        self._plotted: tuple[list[dict[str, Any]], ...] | None = None  # the lines of the newest plots
        self.lines = read_lines(self._metrics_path)
        # Before lines are dropped: what their steps have cost is spent, wherever the run goes on from.
        self.dollars = _read_dollars(workdir, self.lines)
        self.events = _drop_repeated(read_lines(self._events_path), step)
        _write_lines(self._events_path, self.events)
        # A run that was killed may have logged steps after its last checkpoint: they will be logged again.
        self._drop_lines_after(step)
        self._tensorboard = self._open_tensorboard(step)
        # Lines of evaluations have neither.
        self.seconds = max((line["seconds"] for line in self.lines if "seconds" in line), default=0.0)

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one line of numbers by name to metrics.jsonl and to TensorBoard, without those that are not finite."""
        # JSON has no numbers that are not finite.
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self.lines.append({"step": step, **finite})
        _append_last_line(self._metrics_path, self.lines)
        self._tensorboard.write_scalars(step, finite)
        self._call(step, finite)

    def write_event(self, step: int, action: str, **values: Any) -> None:
        """Add what was done about the run at a step to events.jsonl."""
        self.events.append({"step": step, "action": action, **values})
        _append_last_line(self._events_path, self.events)

    def keep_rolled_back(self, step: int) -> None:
        """Copy the lines after a step to rolled_back.jsonl, which the plots show in pale grey."""
        path = self._workdir / ROLLED_BACK
        kept = read_lines(path)
        known = {files.to_json(line) for line in kept}  # of a roll-back that was killed
        later = [line for line in self.lines if line["step"] > step and files.to_json(line) not in known]
        _write_lines(path, kept + later)

    def truncate_after(self, step: int) -> None:
        """Remove the lines after a step."""
        self._drop_lines_after(step)
        self._tensorboard.close()
        self._tensorboard = self._open_tensorboard(step)

    def write_image_grid(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Write images uint8[n, H, W, C] as one grid to `name`.png and to TensorBoard."""
        self._draw(f"{name}.png", self._draw_image_grid, step, pixels)
        self._call(step, {name.partition("/")[0]: pixels})

    def write_plots(self) -> None:
        """Draw losses.png and quality.png from all lines until now, if there are new ones since the last time."""
        lines = list(self.lines)  # a copy, because the list grows while the thread draws
        rolled_back = read_lines(self._workdir / ROLLED_BACK)
        if (lines, rolled_back) == self._plotted:
            return
        self._plotted = (lines, rolled_back)
        self._draw("losses.png", plots.plot_losses, lines, rolled_back)
        self._draw("quality.png", plots.plot_quality, lines, rolled_back)

    def write_page(self, about: About, moment: Moment) -> None:
        """Draw report.html from all lines and events until now, after the images that are asked for already."""
        waiting = [drawing for drawing in self._drawings if drawing[0] == run_page.NAME and drawing[1].cancel()]
        # One that nobody has begun would be older than this one at once.
        self._drawings = [drawing for drawing in self._drawings if drawing not in waiting]
        rolled_back = read_lines(self._workdir / ROLLED_BACK)
        self._draw(run_page.NAME, run_page.write, about, moment, list(self.lines), rolled_back, list(self.events))

    def close(self) -> None:
        """Finish the images that are being drawn."""
        self._thread.shutdown(wait=True)
        # After the thread, which writes its images there.
        self._tensorboard.close()
        self._check_drawings()

    def _call(self, step: int, values: Mapping[str, Any]) -> None:
        # The training loop allows no transfer that is not asked for; what a callback does is its own affair.
        with jax.transfer_guard("allow"):
            for callback in self._callbacks:
                callback(step, {name: np.copy(value) if name in PICTURES else value for name, value in values.items()})

    def _open_tensorboard(self, step: int) -> "TensorBoardWriter":
        # tensorboardX imports the libraries of object stores, a second that only a run which trains has to wait for.
        from logogan_jax.training.reporting import tensorboard

        return tensorboard.TensorBoardWriter(self._workdir / "tensorboard", step + 1)

    def _drop_lines_after(self, step: int) -> None:
        self.lines = [line for line in self.lines if line["step"] <= step]
        _write_lines(self._metrics_path, self.lines)

    def _draw_image_grid(self, path: pathlib.Path, step: int, pixels: np.ndarray) -> None:
        images.write_image_grid(path, pixels)
        grid = images.make_grid(pixels, columns=images.grid_columns(len(pixels), pixels.shape[1:3]))
        # All samples are one image in TensorBoard, with a slider for the step: samples/000100.png becomes samples.
        self._tensorboard.write_image(step, path.relative_to(self._workdir).parts[0].removesuffix(".png"), grid)

    def _draw(self, name: str, function: Callable[..., None], *arguments: Any) -> None:
        """Let the thread call function(path of `name`, *arguments)."""

        def draw() -> None:
            path = self._workdir / name
            path.parent.mkdir(parents=True, exist_ok=True)  # which somebody may have removed
            function(path, *arguments)

        self._check_drawings()
        self._drawings.append((name, self._thread.submit(draw)))

    def _check_drawings(self) -> None:
        """Warn, once for each reason, of images that could not be drawn; raise the error of a full disk."""
        finished = [(name, future) for name, future in self._drawings if future.done()]
        self._drawings = [(name, future) for name, future in self._drawings if not future.done()]
        for name, future in finished:
            error = future.exception()
            # A full disk would stop the checkpoints as well, so it is no matter of one picture.
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise error
            reason = type(error).__name__ + "".join(f": {line}" for line in str(error).splitlines()[:1])
            if error and reason not in self._warned:
                self._warned.add(reason)
                self._say(f"Warning: {self._workdir / name} could not be drawn ({reason}). The run goes on.")


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return the complete lines of a metrics.jsonl. An incomplete last line, of a killed run, is left out.

    Raises UserError if the file is damaged.
    """
    pointers.refuse(path)
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): move it away to go on without its history") from None


def _read_dollars(workdir: pathlib.Path, lines: Sequence[Mapping[str, Any]]) -> float:
    """Return the most that anything in the folder of a run says that it has cost; 0 if nothing does."""
    costs = [line.get("dollars", 0.0) for line in [*lines, *read_lines(workdir / ROLLED_BACK)]]
    # Between its last line and its end a run goes on costing.
    return max([*costs, summary.read_dollars(workdir)])


def _drop_repeated(events: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """Drop the events after a step, from which the run goes on: they will happen again.

    Events up to the last roll-back stay even if their step is later, because the run went back from there.
    """
    roll_backs = [i for i, event in enumerate(events) if event["action"] == "roll back"]
    first = roll_backs[-1] + 1 if roll_backs else 0
    return events[:first] + [event for event in events[first:] if event["step"] <= step]


def _append_last_line(path: pathlib.Path, lines: list[dict[str, Any]]) -> None:
    """Append the last of some lines to a file; write all of them where somebody has removed it."""
    if len(lines) > 1 and not path.exists():
        _write_lines(path, lines)
        return
    # Opened and closed for each line, so that a kill loses none.
    with open(path, "a", encoding="utf-8") as file:
        file.write(files.to_json(lines[-1], indent=None))


def _write_lines(path: pathlib.Path, lines: list[dict[str, Any]]) -> None:
    if lines or path.exists():
        with files.atomic_write(path) as partial:
            partial.write_text("".join(files.to_json(line, indent=None) for line in lines), encoding="utf-8")
