"""Orbax checkpoints of the whole state."""

import contextlib
import errno
import json
import pathlib
import shutil
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError, interruption, is_out_of_memory
from logogan_jax.distributed import data_parallel, multihost
from logogan_jax.training import train_state
from logogan_jax.training.train_state import TrainState

_DIGEST = "sha256"  # in the metadata of a checkpoint: train_state.digest_in_threads


class Damaged(UserError):
    """A checkpoint that cannot be restored."""


class Restored(NamedTuple):
    """A state from a checkpoint, and its step."""

    step: int
    state: TrainState


class Checkpoints:
    """The newest states of a run and its best ones, written whole or not at all while training goes on.

    Each has the digest of its state, which is checked when it is restored. Only the run itself clears away what a
    killed writer left half-written; with `read_only` nothing is changed. Of several processes the first reads and
    writes, and sends the others what it read; all call the same methods.

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
        self._read_only = read_only
        self._best: Collection[int] = ()
        self._manager: ocp.CheckpointManager | None = None
        if not multihost.is_primary():
            return
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
            for half_deleted in self.folder.glob(".*.deleted"):
                shutil.rmtree(half_deleted, ignore_errors=True)
        # Orbax keeps all: which of the newest and the best may go is decided here, after the newer one is on disk.
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
        """Return the steps of all checkpoints that are there now, oldest first."""
        return multihost.run_on_primary(self._steps)

    def is_regular(self, step: int) -> bool:
        """Return whether a checkpoint of this step was written by the period of steps, not by a clock or a stop."""
        return self._every > 0 and step % self._every == 0

    def restore(self, step: int, like: TrainState) -> TrainState:
        """Return the state saved at a step: placed as `like`, or host arrays where several processes share it.

        Raises Damaged, on all processes.
        """
        read: list[TrainState] = []
        # `run_on_primary` returns JSON values only: the state leaves by a list, and reaches the others by a broadcast.
        multihost.run_on_primary(lambda: read.append(self._restore(step, like)))
        return multihost.broadcast(read[0] if read else None, like)

    def restore_newest(self, like: TrainState, say: Callable[[str], None], most: int | None = None) -> Restored | None:
        """Return the newest state that is not damaged, of a step up to `most`, as `restore` does.

        Says in a line which newer ones are damaged. Returns None where there is no checkpoint at all; raises a
        UserError where all are damaged.
        """
        read: list[TrainState] = []
        step = multihost.run_on_primary(lambda: self._read_newest(like, say, most, read))
        # A step of 0 stands for no checkpoint: nothing is saved at step 0.
        return Restored(step, multihost.broadcast(read[0] if read else None, like)) if step else None

    def save(self, step: int, state: TrainState, best: Collection[int] = ()) -> None:
        """Begin to write a state, once the one before it is written.

        Checkpoints that are neither among the newest nor of the `best` steps are deleted once it is written.
        """
        state = data_parallel.make_readable(state)  # by all processes: each holds only its share
        if not self._manager:
            return
        self._best = best
        with _full_disk_named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)  # which somebody may have removed
            self._manager.wait_until_finished()
            # Only now is the one before whole on disk, so only now may older ones go.
            self._delete_old()
            if step in self._steps():  # damaged: the run went on from an older one
                self._delete(step)
            # A write that meets a full disk half-way prints a traceback for each part.
            if shutil.disk_usage(self.folder).free < _nbytes(state):
                raise OSError(errno.ENOSPC, "No space left on device")
            # Host arrays: Orbax would cut up what is on several devices, and have all hosts write.
            state = jax.device_get(state)
            # Taken from memory before the write: what a disk changes is noticed.
            digest = {_DIGEST: train_state.digest_in_threads(state)}
            # Forced: the schedule decides what is saved, not Orbax. State and digest become visible together.
            self._manager.save(step, args=ocp.args.StandardSave(state), custom_metadata=digest, force=True)

    def delete_after(self, step: int) -> None:
        """Delete the checkpoints after a step; call this while none is being written."""
        if self._manager:
            for later in self._steps():
                if later > step:
                    self._delete(later)

    def wait(self) -> None:
        """Return when everything is on disk."""
        if self._manager:
            with _full_disk_named(self.folder):
                self._manager.wait_until_finished()
                self._manager.check_for_errors()
                if not self._read_only:
                    self._delete_old()

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
        # What is there now gives its room back as it is replaced; the one in writing comes on top of all others.
        need = size * (most + 1 - min(present, most))
        free = shutil.disk_usage(self.folder).free
        if need > free:
            raise UserError(
                f"{self.folder} has {free / 1e6:,.0f} MB free, but {most} checkpoints and one in writing take "
                f"{need / 1e6:,.0f} MB: free some space, or lower --config.report.keep"
            )

    def _steps(self) -> list[int]:
        assert self._manager is not None, "only the first process reads checkpoints"
        if self._read_only:
            self._manager.reload()  # the run may have written and deleted some
        return sorted(self._manager.all_steps())

    def _delete_old(self) -> None:
        """Delete the checkpoints that are not worth keeping; call this while none is being written."""
        steps = self._steps()
        newest = [old for old in steps if self.is_regular(old)][-self.keep :]
        for old in sorted(set(steps) - {*self._best, *newest, *steps[-1:]}):
            self._delete(old)

    def _delete(self, step: int) -> None:
        """Delete a checkpoint, at once for whoever reads it or finds it after a kill."""
        assert self._manager is not None
        # A rename happens at once and a removal file by file: a kill in between leaves no half of a checkpoint.
        gone = self.folder / f".{step}.deleted"
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):  # somebody else has deleted it
            (self.folder / str(step)).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        self._manager.reload()

    def _read_newest(self, like: TrainState, say: Callable[[str], None], most: int | None, read: list) -> int:
        """Append the newest good state to `read` and return its step; 0 where there is no checkpoint."""
        damaged = []
        for step in reversed(self._steps()):
            if most is not None and step > most:
                continue
            try:
                read.append(self._restore(step, like))
            except Damaged as error:
                damaged.append(error)
                continue
            for error in damaged:
                say(f"Warning: {error}. Going on from step {step}, the newest good checkpoint.")
            return step
        if damaged:
            raise UserError(
                f"{damaged[0]}, and there is no older one that is good: bring back a copy of it, or choose another "
                f"--workdir"
            )
        return 0

    def _restore(self, step: int, like: TrainState) -> TrainState:
        assert self._manager is not None, "only the first process reads checkpoints"
        several = jax.process_count() > 1
        # Orbax would wait for the other processes, which read nothing: they get the arrays by a broadcast.
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0]) if several else None
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here or x.sharding), like)
        path = self.folder / str(step)
        try:
            about = json.loads((path / "_CHECKPOINT_METADATA").read_text(encoding="utf-8"))
            restored: Any = self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
            expected = (about.get("custom_metadata") or {}).get(_DIGEST)
        except Exception as error:  # the libraries below have many
            if is_out_of_memory(error) or interruption(error):
                raise
            reason = _pointer_in(path) or (str(error).splitlines() or [repr(error)])[0][:200]
            raise Damaged(f"{path} cannot be restored ({reason})") from error
        # Checkpoints of older versions have no digest.
        if expected not in (None, train_state.digest_in_threads(restored)):
            raise Damaged(f"{path} cannot be restored (its numbers are not those that were saved)")
        return restored


def _pointer_in(folder: pathlib.Path) -> str:
    """Return what a file in a folder is that a repository keeps in place of a large one, or ""."""
    return next(filter(None, map(pointers.describe_file, sorted(folder.rglob("*")))), "")


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
