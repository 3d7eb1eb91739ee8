"""A run in Python and in notebooks: what it is, and arrays of pictures that show themselves."""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from logogan_jax.config import archived, restore
from logogan_jax.config.drawer import MAX_SCALE, Drawer
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import backend, images
from logogan_jax.core.errors import UserError
from logogan_jax.training.drawing import addresses, latents, picture_files
from logogan_jax.training.reporting import run_writer


class Pictures(np.ndarray):
    """An array uint8[n, H, W, C] in [0, 255]; a notebook shows the first hundred as a sheet, and one as it is."""

    def _repr_png_(self) -> bytes | None:
        pixels = np.asarray(self)
        pixels = pixels[None] if pixels.ndim == 3 else pixels[: picture_files.SHEET]
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or not pixels.size or pixels.shape[-1] not in (1, 3, 4):
            return None  # it was computed from pictures
        size = pixels.shape[1:3]
        sheet = images.make_grid(pixels, images.grid_columns(len(pixels), size))
        scale = images.display_scale(size)
        sheet = sheet.repeat(scale, 0).repeat(scale, 1)
        file = io.BytesIO()
        Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(file, format="PNG")
        return file.getvalue()


class LoadedRun:
    """A run at one of its steps.

    `workdir` is its folder, `config` its ConfigDict, `step` the number of training steps, and `labels` the names of
    its labels, none if it was trained without.
    """

    def __init__(self, run: RestoredRun):
        self.workdir = run.workdir
        self.config = run.config
        self.step = run.step
        self.labels: list[str] = list(run.info.labels) if run.config.data.labels else []
        self._drawer = Drawer(run)

    def __repr__(self) -> str:
        return f"<run {self.workdir} at step {self.step:,}>"

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl as they are now, oldest first: {"step": ..., name: number}."""
        return run_writer.read_lines(self.workdir / "metrics.jsonl")

    def sample(
        self, num: int | None = None, seed: int | None = None, *, seeds: str | Sequence[int | str] | None = None,
        label: str | None = None, truncation: float = 1.0, scale: int = 1, transparent: bool = False,
    ) -> Pictures:  # fmt: skip
        """Draw pictures: the same ones as the command logogan-sample with flags of the same names.

        Args:
            num: how many, 1 to 100,000; 64 if not given.
            seed: which; 0 if not given.
            seeds: instead of num and seed, the pictures' addresses: "1:17", "5,9-20", or a list of such.
            label: of which label all should be; if not given, of all, as often as in the data.
            truncation: 0 to 1; below 1 pictures are nearer to the middle of what the run has learned.
            scale: 1 to 16 times as high and as wide as in training.
            transparent: whether the ground is transparent; then C is 4.

        Returns:
            uint8[n, H, W, C] in [0, 255], of 1 (grey), 3 (RGB) or 4 channels (RGB with straight alpha).

        Raises a UserError, of one line, for values that have no meaning.
        """
        with names_of_arguments():
            if seeds is not None and not (num is None and seed is None):
                raise UserError("seeds says which pictures to draw: leave num and seed")
            _check_range("scale", scale, 1, MAX_SCALE)
            latents.check_truncation(truncation)
            if seeds is None:
                count = 64 if num is None else num
                _check_range("num", count, 1, addresses.MAX_PICTURES)
                wanted = addresses.numbered(0 if seed is None else int(seed), 0, int(count))
            else:
                wanted = addresses.parse(seeds if isinstance(seeds, str) else ",".join(map(str, seeds)), "seeds")
            drawn = self._drawer.latents(wanted, self._drawer.label_number(label), truncation)
            return self._drawer.paint(drawn, int(scale), transparent=transparent).view(Pictures)


def load(workdir: str, step: str, data: str | None) -> LoadedRun:
    """Load a run at a step, or an archive, as logogan_jax.load describes it."""
    with names_of_arguments():
        backend.start()
        if not archived.is_archive(workdir):
            return LoadedRun(restore.restore(workdir, step, data))
        run = archived.restore(workdir, data, "workdir")
        if step not in ("best", str(run.step)):
            raise UserError(f"--step={step}: {workdir} holds step {run.step} alone: leave it")
        return LoadedRun(run)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if int(value) != value or not low <= value <= high:
        raise UserError(f"{name}={value} should be a whole number from {low} to {high:,}")


@contextlib.contextmanager
def names_of_arguments() -> Iterator[None]:
    """Let errors name arguments and not the flags of commands: step=5 instead of --step=5."""
    try:
        yield
    except UserError as error:
        raise type(error)(re.sub(r"(?<!\S)--(?=[a-z_]+\b)", "", str(error))) from None
