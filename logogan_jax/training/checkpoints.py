"""Orbax checkpoints of the whole state."""

import contextlib
import errno
import pathlib
import shutil
from collections.abc import Collection, Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp

from logogan_jax.core.errors import UserError
from logogan_jax.distributed import multihost
from logogan_jax.training.train_state import TrainState


class Checkpoints:
    """The newest states of a run and its best ones, written whole or not at all while training goes on.

    Only the run itself clears away what a killed writer left half-written; with `read_only` nothing is changed. Of
    several processes the first reads and writes, and sends the others what it read; all call the same methods.

    Args:
        folder: where they are.
        keep: how many of the newest are kept.
        every: only steps that are multiples of this count as the newest; any other is kept until there is a newer one.
            0 for no such steps.
        read_only: whether nothing may be changed.
    """

    def __init__(self, folder: pathlib.Path, keep: int, *, every: int = 1, read_only: bool = False):
        self.folder = folder.absolute()
        self.keep = keep
        self._every = every
        self._manager: ocp.CheckpointManager | None = None
        if not multihost.is_primary():
            return
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            create=False,
            read_only=read_only,
            cleanup_tmp_directories=not read_only,
            multiprocessing_options=multihost.single_process_options(),
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def latest(self) -> int | None:
        """Return the step of the newest checkpoint."""
        return max(self.steps(), default=None)

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints, oldest first."""
        return multihost.run_on_primary(self._steps)

    def is_regular(self, step: int) -> bool:
        """Return whether a checkpoint of this step was written by the period of steps, not by a clock or a stop."""
        return self._every > 0 and step % self._every == 0

    def restore(self, step: int, like: TrainState) -> TrainState:
        """Return the state saved at a step: placed as `like`, or host arrays where several processes share it."""
        return multihost.broadcast(self._restore(step, like) if self._manager else None, like)

    def save(self, step: int, state: TrainState, best: Collection[int] = ()) -> None:
        """Begin to write a state, once the one before it is written.

        Checkpoints that are neither among the newest nor of the `best` steps are deleted.
        """
        if not self._manager:
            return
        with _full_disk_named(self.folder):
            self._manager.wait_until_finished()
            # A write that meets a full disk half-way prints a traceback for each part.
            if shutil.disk_usage(self.folder).free < _nbytes(state):
                raise OSError(errno.ENOSPC, "No space left on device")
            # Host arrays: Orbax would cut up what is on several devices, by a program for each form of array, and have
            # all hosts write.
            self._manager.save(step, args=ocp.args.StandardSave(jax.device_get(state)), force=True)
            steps = self._steps()
            newest = [old for old in steps if self.is_regular(old)][-self.keep :]
            for old in sorted(set(steps) - {*best, *newest, steps[-1]}):
                self._manager.delete(old)

    def back_to(self, step: int, like: TrainState) -> TrainState:
        """Delete the checkpoints after a step, then return the state saved at it, as `restore` does."""
        self.wait()
        if self._manager:
            for later in self._steps():
                if later > step:
                    self._manager.delete(later)
        return self.restore(step, like)

    def wait(self) -> None:
        """Return when everything is on disk."""
        if self._manager:
            with _full_disk_named(self.folder):
                self._manager.wait_until_finished()
                self._manager.check_for_errors()

    def close(self) -> None:
        """Wait until everything is on disk, then let go of the folder."""
        if self._manager:
            self.wait()
            self._manager.close()

    def need_room(self, state: TrainState, keep_best: int) -> None:
        """Raise a UserError unless the disk has room for the checkpoints that will be kept and one in writing."""
        size = _nbytes(state)
        present = len(self._steps())
        most = self.keep + keep_best + 1
        need = size * (most + 1 - min(present, most))
        free = shutil.disk_usage(self.folder).free
        if need > free:
            raise UserError(
                f"{self.folder} has {free / 1e6:,.0f} MB free, but {most} checkpoints and one in writing take "
                f"{need / 1e6:,.0f} MB: free some space, or lower --config.report.keep"
            )

    def _steps(self) -> list[int]:
        assert self._manager is not None, "only the first process reads checkpoints"
        return sorted(self._manager.all_steps())

    def _restore(self, step: int, like: TrainState) -> TrainState:
        assert self._manager is not None, "only the first process reads checkpoints"
        several = jax.process_count() > 1
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0]) if several else None
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here or x.sharding), like)
        try:
            restored: Any = self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
        except (ValueError, KeyError, OSError) as error:
            reason = (str(error).splitlines() or [repr(error)])[0][:200]
            raise UserError(
                f"{self.folder / str(step)} cannot be restored ({reason}): delete that folder to go back to the "
                f"checkpoint before it"
            ) from error
        return restored


def _nbytes(state: Any) -> int:
    return sum(x.nbytes for x in jax.tree.leaves(state))


@contextlib.contextmanager
def _full_disk_named(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The writer below Orbax reports a full disk in error types of its own.
        if any(sign in str(error) for sign in ("No space left", "ENOSPC", "EDQUOT")):
            raise OSError(errno.ENOSPC, "No space left on device", str(folder)) from error
        raise
