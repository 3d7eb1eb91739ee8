"""Orbax checkpoints of the whole state."""

import contextlib
import errno
import shutil

import jax
import orbax.checkpoint as ocp

from logogan_jax.core.errors import UserError
from logogan_jax.distributed import multihost


class Checkpoints:
    """The newest `keep` states of a run and its best, written whole or not at all while training goes on.

    Those are kept of steps that are multiples of `every`; any other only until there is a newer one. The run itself
    clears away what a killed writer left half-written; others read and change nothing. Of several processes the first
    reads and writes, and tells the others; all call the same methods.
    """

    def __init__(self, folder, keep, *, every=1, read_only=False):
        self.folder, self.keep, self._every, self._manager = folder.absolute(), keep, every, None
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

    def latest(self):
        """Step of the newest whole checkpoint, or None."""
        return max(self.steps(), default=None)

    def steps(self):
        """Steps of all whole checkpoints, oldest first."""
        return multihost.run_on_primary(self._steps)

    def restore(self, step, like):
        """The state saved at a step, as `like`: placed so, or host arrays where several processes share it."""
        return multihost.broadcast(self._restore(step, like) if self._manager else None, like)

    def save(self, step, state, best=()):
        """Start writing a state, after the one before it; what is not to be kept, nor among the `best` steps, goes."""
        if not self._manager:
            return
        with _full_disk_named(self.folder):
            self._manager.wait_until_finished()
            if shutil.disk_usage(self.folder).free < _bytes(state):  # a write that fails half-way tells of each part
                raise OSError(errno.ENOSPC, "No space left on device")
            # Orbax would cut up what is on several devices, by a program for each form, and have all hosts write.
            here = jax.device_get(state)
            self._manager.save(step, args=ocp.args.StandardSave(here), force=True)
            steps = self._steps()
            kept = {*best, *[old for old in steps if old % self._every == 0][-self.keep :], steps[-1]}
            for old in steps:
                if old not in kept:
                    self._manager.delete(old)

    def back_to(self, step, like):
        """The state saved at a step, restored as by `restore`; the checkpoints after it are deleted first."""
        self.wait()
        if self._manager:
            for later in self._steps():
                if later > step:
                    self._manager.delete(later)
        return self.restore(step, like)

    def wait(self):
        """Return when everything is on disk."""
        if not self._manager:
            return
        with _full_disk_named(self.folder):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def close(self):
        """Wait, then let go of the folder."""
        if self._manager:
            self.wait()
            self._manager.close()

    def need_room(self, state, best):
        """Raise a UserError unless the disk has room for the checkpoints that will be kept, `best` of the best too."""
        each = _bytes(state)
        have, most = len(self._steps()), self.keep + best + 1
        need, free = each * (most + 1 - min(have, most)), shutil.disk_usage(self.folder).free
        if need > free:
            raise UserError(
                f"{self.folder} has {free / 1e6:,.0f} MB free, but {most} checkpoints and one in writing take "
                f"{need / 1e6:,.0f} MB: free some space, or lower --config.report.keep"
            )

    def _steps(self):
        return sorted(self._manager.all_steps())

    def _restore(self, step, like):
        several = jax.process_count() > 1
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0]) if several else None
        shape = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here or x.sharding), like)
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(shape))
        except (ValueError, KeyError, OSError) as error:
            raise UserError(
                f"{self.folder / str(step)} cannot be restored ({_first_line(error)}): delete that folder to go "
                f"back to the checkpoint before it"
            ) from error


def _bytes(state):
    return sum(x.nbytes for x in jax.tree.leaves(state))


@contextlib.contextmanager
def _full_disk_named(folder):
    try:
        yield
    except Exception as error:
        # The writer below Orbax reports a full disk in its own error types.
        if any(sign in str(error) for sign in ("No space left", "ENOSPC", "RESOURCE_EXHAUSTED")):
            raise OSError(errno.ENOSPC, "No space left on device", str(folder)) from error
        raise


def _first_line(error):
    return (str(error).splitlines() or [repr(error)])[0][:200]
