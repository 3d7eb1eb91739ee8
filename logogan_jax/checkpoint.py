"""Orbax checkpoints of the whole state, and the request to stop."""

import contextlib
import errno
import shutil
import signal

import jax
import orbax.checkpoint as ocp

from logogan_jax.errors import UserError


class Checkpoints:
    """The newest `keep` states of a run and its best, written whole or not at all while training goes on.

    The run itself clears away what a killed writer left half-written; others read and change nothing.
    """

    def __init__(self, folder, keep, *, read_only=False):
        self.folder, self.keep = folder.absolute(), keep
        options = (
            ocp.CheckpointManagerOptions(read_only=True)
            if read_only
            else ocp.CheckpointManagerOptions(create=True, cleanup_tmp_directories=True)
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def latest(self):
        """Step of the newest whole checkpoint, or None."""
        return self._manager.latest_step()

    def steps(self):
        """Steps of all whole checkpoints, oldest first."""
        return sorted(self._manager.all_steps())

    def restore(self, step, like):
        """The state saved at a step, placed as the arrays (or shapes with shardings) of `like` are."""
        shape = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(shape))
        except (ValueError, KeyError, OSError) as error:
            raise UserError(
                f"{self.folder / str(step)} cannot be restored ({_first_line(error)}): delete that folder to go "
                f"back to the checkpoint before it"
            ) from error

    def save(self, step, state, best=()):
        """Start writing a state, after the one before it; what is neither new nor among the `best` steps goes."""
        with _full_disk_named(self.folder):
            self._manager.save(step, args=ocp.args.StandardSave(state), force=True)
            for old in self.steps()[: -self.keep]:
                if old not in best:
                    self._manager.delete(old)

    def back_to(self, step, like):
        """The state saved at a step, restored as by `restore`; the checkpoints after it are deleted first."""
        self.wait()
        for later in self.steps():
            if later > step:
                self._manager.delete(later)
        return self.restore(step, like)

    def wait(self):
        """Return when everything is on disk."""
        with _full_disk_named(self.folder):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def close(self):
        """Wait, then let go of the folder."""
        self.wait()
        self._manager.close()

    def need_room(self, state, best):
        """Raise a UserError unless the disk has room for the checkpoints that will be kept, `best` of the best too."""
        each = sum(x.nbytes for x in jax.tree.leaves(state))
        have = len(self._manager.all_steps())
        most = self.keep + best
        need, free = each * (most + 1 - min(have, most)), shutil.disk_usage(self.folder).free
        if need > free:
            raise UserError(
                f"{self.folder} has {free / 1e6:,.0f} MB free, but {most} checkpoints and one in writing take "
                f"{need / 1e6:,.0f} MB: free some space, or lower --config.report.keep"
            )


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


class StopRequest:
    """True once SIGTERM or Ctrl-C has come; a second Ctrl-C interrupts at once. Use as a context manager."""

    def __init__(self):
        self.by = None
        self._before = {}

    def __bool__(self):
        return self.by is not None

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number, _frame):
        if self.by and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.by = signal.Signals(number).name
