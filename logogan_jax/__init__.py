"""Train GANs on logos and other small image sets, in JAX."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from logogan_jax.core import startup

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from logogan_jax.config.loaded_run import LoadedRun

__version__ = "0.1.0"

startup.check_system()


def load(workdir: str | os.PathLike, step: str | int = "best", data: str | None = None) -> "LoadedRun":
    """Load a run, to draw pictures from it: load("runs/mine").sample(64, seed=1).

    Args:
        workdir: folder or bucket that training wrote to; it may still train. Or an archive that logogan_jax.export
            wrote as safetensors, or "pretrained", the generator that comes with the install.
        step: "best" (by KID; the newest where nothing was measured), "newest", or a step that has a checkpoint.
        data: where the images of the run lie now, if not where they were.

    Raises a UserError, of one line, where there is no run, no checkpoint or no device.
    """
    # Imported here, because JAX takes seconds and a command first looks at its flags.
    from logogan_jax.config import loaded_run

    return loaded_run.load(os.fspath(workdir), str(step), data)


# Functions, though python -m logogan_jax.evaluate is a command: nothing imports that module, nor is there one called
# train, so that no module takes their names.
def get_config(name: str) -> "ConfigDict":
    """Return the config of a name, such as "quickstart", or of a config file, to change it and to train it."""
    from logogan_jax.config import python_calls

    return python_calls.get_config(name)


def train(
    config: "ConfigDict | str", workdir: str | os.PathLike, *, init_from: str | os.PathLike = "",
    callbacks: Sequence[Callable[[int, dict[str, Any]], Any]] = (),
) -> bool:  # fmt: skip
    """Train a config in a folder or bucket, from its newest checkpoint on: what the command logogan-train does.

    Args:
        config: what to train, or its name; it is not changed.
        workdir: folder or bucket of the run.
        init_from: a run, or an archive, from whose weights a new run starts.
        callbacks: each is called with a step and a dict: a line of metrics.jsonl by name, or {"samples": pictures
            uint8[n, H, W, C]}. These are copies, so the run stays the same. What a callback raises ends it; the same
            call then goes on from the newest checkpoint.

    Returns:
        Whether the run is as far as it should go. It is not where a signal, such as Ctrl-C, has stopped it.

    Raises a UserError, of one line, for what the user can mend.
    """
    from logogan_jax import loop
    from logogan_jax.config import python_calls

    with python_calls.started():
        ready = python_calls.with_data(config)
        shown = [python_calls.with_pictures(callback) for callback in callbacks]
        return loop.train(ready, os.fspath(workdir), init_from=os.fspath(init_from), callbacks=shown)


def evaluate(
    workdir: str | os.PathLike, step: str | int = "best", *, num_samples: int = 2_048, seed: int = 0,
    data: str | None = None, against: str | None = None, real_vs_real: bool = False, features: str = "efflite0",
) -> dict[str, Any]:  # fmt: skip
    """Measure a run and look for copies: what the command logogan-evaluate does with flags of the same names.

    Writes evaluation.json and copies.html into the run's folder.

    Returns:
        What evaluation.json says: {"against": {column: {metric: {"value", "low", "high"}}}, "copies": {...}, ...}.

    Raises a UserError, of one line, for what the user can mend.
    """
    from logogan_jax.config import evaluation, measuring, python_calls

    with python_calls.started():
        options = measuring.Options(num_samples, seed, data, against, real_vs_real)
        return evaluation.evaluate(os.fspath(workdir), str(step), options, features.split(","))
