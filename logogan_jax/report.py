"""What a run leaves behind while it goes on: JSON lines, TensorBoard events, pictures, curves."""

import concurrent.futures
import json
import math

import tensorboardX
from matplotlib.figure import Figure

from logogan_jax import files, images
from logogan_jax.errors import UserError


class Reporter:
    """Writer of one run's files, reopened at a step: later lines of a run that went on further are dropped.

    Pictures are drawn in a thread, so that the devices do not wait; a failure there shows at the next
    picture or at the end. `seconds` is the time that the run had taken at that step.
    """

    def __init__(self, workdir, step):
        self._workdir, self._lines = workdir, workdir / "metrics.jsonl"
        kept = [line for line in read_lines(self._lines) if line["step"] <= step]
        self.seconds = kept[-1]["seconds"] if kept else 0.0
        with files.whole(self._lines) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        (workdir / "samples").mkdir(exist_ok=True)
        self._board = tensorboardX.SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="report")
        self._last = None

    def scalars(self, step, values):
        """Add one line of numbers by name."""
        with open(self._lines, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def sheet(self, step, name, pixels):
        """Write uint8[n, S, S, C] as `name`.png in the run's folder, and for TensorBoard."""
        self._later(self._draw_sheet, step, name, pixels)

    def curves(self):
        """Draw losses.png from all lines so far."""
        self._later(draw_curves, self._workdir / "losses.png", read_lines(self._lines))

    def close(self):
        """Finish what is being drawn."""
        self._thread.shutdown(wait=True)
        self._board.close()
        if self._last:
            self._last.result()

    def _draw_sheet(self, step, name, pixels):
        images.write_sheet(self._workdir / f"{name}.png", pixels)
        sheet = images.tile(pixels, columns=math.ceil(math.sqrt(len(pixels))))
        self._board.add_image(name.split("/")[0], sheet, step, dataformats="HWC")

    def _later(self, function, *arguments):
        if self._last and self._last.done():
            self._last.result()
        self._last = self._thread.submit(function, *arguments)


def read_lines(path):
    """The whole lines of a metrics.jsonl as dictionaries; a torn last line, from a killed run, is left out."""
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): move it away to go on without its history") from None


def draw_curves(path, lines):
    """One panel per player: its numbers, gradient norms apart, against the step."""
    names = [name for name in (lines[-1] if lines else {}) if "/" in name and "/gradient_norm/" not in name]
    players = sorted({name.split("/")[0] for name in names})
    if not players:
        return
    figure = Figure(figsize=(9, 3 * len(players)), layout="tight")
    axes = figure.subplots(len(players), 1, sharex=True, squeeze=False)[:, 0]
    for axis, player in zip(axes, players, strict=True):
        for name in (name for name in names if name.startswith(player + "/")):
            points = [(line["step"], line[name]) for line in lines if name in line]
            axis.plot(*zip(*points, strict=True), label=name.split("/", 1)[1], linewidth=1)
        axis.set_title(player, loc="left")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    axes[-1].set_xlabel("step")
    with files.whole(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
