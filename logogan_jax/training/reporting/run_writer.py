"""What a run leaves behind while it goes on: JSON lines, TensorBoard events, pictures."""

import concurrent.futures
import json

from logogan_jax.core import files, images
from logogan_jax.core.errors import UserError
from logogan_jax.training.reporting import plots, tensorboard


class RunWriter:
    """Writer of one run's files, reopened at a step: later lines of a run that went on further are dropped.

    Pictures are drawn in a thread, so that the devices do not wait; a failure there shows at the next
    picture or at the end. `lines` are those of metrics.jsonl, `events` those of events.jsonl, what was done
    about the run; `seconds` and `dollars` are what the run had taken and cost at that step.
    """

    def __init__(self, workdir, step):
        self._workdir, self._lines, self._events = workdir, workdir / "metrics.jsonl", workdir / "events.jsonl"
        self.lines, self.events = read_lines(self._lines), read_lines(self._events)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="report")
        self._last = self._board = None
        (workdir / "samples").mkdir(exist_ok=True)
        # What was done since the last roll-back and after this step will be done again.
        since = max((i + 1 for i, event in enumerate(self.events) if event["action"] == "roll back"), default=0)
        self.events[since:] = [event for event in self.events[since:] if event["step"] <= step]
        _write_lines(self._events, self.events)
        self._reopen(step)
        self.seconds = max((line["seconds"] for line in self.lines if "seconds" in line), default=0.0)
        self.dollars = max((line["dollars"] for line in self.lines if "dollars" in line), default=0.0)

    def write_scalars(self, step, values):
        """Add one line of numbers by name."""
        self.lines.append({"step": step, **values})
        _add_line(self._lines, self.lines[-1])
        self._board.write_scalars(step, values)

    def write_event(self, step, action, **values):
        """Note what was done about the run at a step."""
        self.events.append({"step": step, "action": action, **values})
        _add_line(self._events, self.events[-1])

    def truncate_after(self, step):
        """Go back to a step: the lines after it move to rolled_back.jsonl, whose curves are drawn pale."""
        for line in self.lines:
            if line["step"] > step:
                _add_line(self._workdir / "rolled_back.jsonl", line)
        self._reopen(step)

    def write_image_grid(self, step, name, pixels):
        """Write uint8[n, S, S, C] as `name`.png in the run's folder, and for TensorBoard."""
        self._later(self._draw_sheet, step, name, pixels)

    def write_plots(self):
        """Draw losses.png and quality.png from all lines so far."""
        lines, gone = list(self.lines), read_lines(self._workdir / "rolled_back.jsonl")
        self._later(plots.plot_losses, self._workdir / "losses.png", lines, gone)
        self._later(plots.plot_quality, self._workdir / "quality.png", lines, gone)

    def close(self):
        """Finish what is being drawn."""
        self._thread.shutdown(wait=True)
        self._board.close()
        if self._last:
            self._last.result()

    def _reopen(self, step):
        if self._board:
            self._board.close()
        self._board = tensorboard.TensorBoardWriter(self._workdir / "tensorboard", step + 1)
        self.lines = [line for line in self.lines if line["step"] <= step]
        _write_lines(self._lines, self.lines)

    def _draw_sheet(self, step, name, pixels):
        images.write_image_grid(self._workdir / f"{name}.png", pixels)
        sheet = images.make_grid(pixels, columns=images.grid_columns(len(pixels), pixels.shape[1:3]))
        self._board.write_image(step, name.split("/")[0], sheet)

    def _later(self, function, *arguments):
        if self._last and self._last.done():
            self._last.result()
        self._last = self._thread.submit(function, *arguments)


def _add_line(path, line):
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def _write_lines(path, lines):
    if lines or path.exists():
        with files.atomic_write(path) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read_lines(path):
    """The whole lines of a metrics.jsonl as dictionaries; a torn last line, from a killed run, is left out."""
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): move it away to go on without its history") from None
