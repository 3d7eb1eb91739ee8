"""Train GANs on logos and other small image sets, in JAX."""

import os
from typing import TYPE_CHECKING

from logogan_jax.core import startup

if TYPE_CHECKING:
    from logogan_jax.config.loaded_run import LoadedRun

__version__ = "0.1.0"

startup.check_system()


def load(workdir: str | os.PathLike, step: str | int = "best", data: str | None = None) -> "LoadedRun":
    """Load a run, to draw pictures from it: load("runs/mine").sample(64, seed=1).

    Args:
        workdir: folder or bucket that training wrote to; it may still train. Or an archive in safetensors, or
            "pretrained", the generator that comes with the install.
        step: "best" (by KID; the newest where nothing was measured), "newest", or a step that has a checkpoint.
        data: where the images of the run lie now, if not where they were.

    Raises a UserError, of one line, where there is no run, no checkpoint or no device.
    """
    # Imported here, because JAX takes seconds and a command first looks at its flags.
    from logogan_jax.config import loaded_run

    return loaded_run.load(os.fspath(workdir), str(step), data)
