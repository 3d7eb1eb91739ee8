"""The folder of one run, held against a second process."""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable
from typing import NamedTuple

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import sync
from logogan_jax.distributed import multihost

_NOTES = ("config.json", "metrics.jsonl", "events.jsonl")  # what decides how a run goes on, but for its checkpoints


class Entered(NamedTuple):
    """The folder that this process writes to, and keep(), which asks for what is there to be kept elsewhere too."""

    folder: pathlib.Path
    keep: Callable


@contextlib.contextmanager
def entered(where):
    """The Entered of a run's folder or bucket, held until the block ends.

    A run in a bucket works in a folder of this machine, which is copied there at every keep() and at the end. Of
    several processes the first has the folder; another has one for the moment, with what the run has written down.
    """
    with contextlib.ExitStack() as held:
        found = []
        notes = multihost.run_on_primary(lambda: _hold(held, where, found))
        if not found:
            folder = pathlib.Path(held.enter_context(tempfile.TemporaryDirectory()))
            for name, text in notes.items():
                (folder / name).write_text(text)
            found.append(Entered(folder, lambda: None))
        yield found[0]


def _hold(held, where, found):
    """Enter a run's own folder, which `found` gets, until the stack `held` is closed -> {name: text} of its notes."""
    folder, keep = held.enter_context(sync.synced_workdir(where))
    held.enter_context(owned(folder))
    found.append(Entered(folder, keep))
    return {name: (folder / name).read_text() for name in _NOTES if (folder / name).exists()}


@contextlib.contextmanager
def owned(folder):
    """Make the folder if need be, see that it is a run's or empty, and hold it until the block ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = files.try_lock(folder / ".lock")
    except OSError as error:
        raise UserError(f"--workdir={folder} cannot be written ({error.strerror}): choose another") from None
    if lock is None:
        raise UserError(f"another process is training in {folder}: stop it, or choose another --workdir")
    with lock:
        # An empty checkpoints folder is what a run leaves that failed at its start.
        foreign = [path.name for path in folder.iterdir() if path.name not in (".lock", "checkpoints")]
        if foreign and not (folder / "config.json").exists():
            raise UserError(f"--workdir={folder} holds {foreign[0]} but no run (no config.json): choose another")
        yield
