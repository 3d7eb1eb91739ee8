"""The steps in which a number stopped being finite, kept so that they can be run again."""

import json
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from logogan_jax.core import files
from logogan_jax.core.errors import UserError, is_out_of_memory
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import data_parallel, multihost
from logogan_jax.training.metric_accumulator import NonFinite
from logogan_jax.training.step_runner import StepRunner
from logogan_jax.training.train_state import TrainState

AGAIN = "-again"  # at the end of the name of what was written after a roll-back
KEYS = "fold_in(key of the state, [1, step - 1, player, update]), then the row of the batch"


class Recorded(NamedTuple):
    """A program after which a number was not finite: that number, the step before it, and what it was given."""

    bad: NonFinite
    step: int
    state: TrainState
    batch: Batch


class NonFiniteRecorder:
    """Writes what made a number that is not finite into folders below `folder`.

    Args:
        folder: nonfinite/ in the folder of a run.
        runner: what runs the steps.
        read_batch: function (step, count) -> Batch uint8[count, draws, B, H, W, C] on the host.
        last: the last step of the run.
    """

    def __init__(self, folder: pathlib.Path, runner: StepRunner, read_batch: Callable[[int, int], Batch], *, last: int):
        self._folder = folder
        self._runner = runner
        self._read_batch = read_batch
        self._last = last

    def write(self, bad: NonFinite, step: int, state: TrainState, *, name: str) -> pathlib.Path:
        """Write state and batch of the program that broke, and where its keys come from, into the folder `name`.

        `state` is that of an earlier `step`, whose buffers are used up: the programs between are run again. A folder
        that is complete already was written by this same run before it was stopped. Returns the folder.
        """
        # All processes run the programs, which hold collective operations. Only the first one writes.
        while step + self._runner.size(step, self._last) < bad.step:
            count = self._runner.size(step, self._last)
            state, _ = self._runner.run(state, step, self._last)
            step += count
        state = data_parallel.gather(state)
        folder = self._folder / name
        if (folder / "about.json").exists() or not multihost.is_primary():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        with ocp.StandardCheckpointer(multiprocessing_options=multihost.single_process_options()) as writer:
            # Forced, because a run that was killed here has left a part of it.
            writer.save(folder.absolute() / "state", state, force=True)
        count = self._runner.size(step, self._last)
        # Read again: what was sent to the devices may be only the numbers of the images.
        with files.atomic_write(folder / "batch.npz") as partial, open(partial, "wb") as file:
            np.savez_compressed(file, **self._read_batch(step, count)._asdict())
        # Written last: it says that the rest is there.
        broken = {**bad._asdict(), "value": str(bad.value)}
        about = {"broken": broken, "first_step": step, "steps": count, "keys": KEYS}
        files.write_json(folder / "about.json", about)
        return folder


def newest(workdir: pathlib.Path) -> pathlib.Path:
    """Return the newest folder that was written below a run's folder; raise a UserError if there is none."""
    written = [path.parent for path in workdir.glob("nonfinite/*/about.json")]
    if not written:
        raise UserError(f"--workdir={workdir} holds no nonfinite/*/about.json: every number of that run was finite")
    # By names, because copies have other times, and clocks go back. What came after a roll-back is the newest.
    return max(written, key=lambda folder: (folder.name.endswith(AGAIN), folder.name))


def read(folder: pathlib.Path, like: TrainState) -> Recorded:
    """Read what a recorder wrote; the state is placed as `like`, the batch is on the host."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        with ocp.StandardCheckpointer() as reader:
            state = reader.restore(folder.absolute() / "state", shapes)
        with np.load(folder / "batch.npz") as file:
            batch = Batch(**file)
        broken = about["broken"]
        bad = NonFinite(broken["step"], broken["name"], float(broken["value"]))
        return Recorded(bad, about["first_step"], state, batch)
    except Exception as error:  # the libraries below have many
        if is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or [repr(error)])[0][:200]
        raise UserError(f"{folder} cannot be read ({reason}): delete it, and train again") from None
