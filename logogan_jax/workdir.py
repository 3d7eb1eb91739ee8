"""The folder of one run, held against a second process."""

import contextlib
import fcntl

from logogan_jax.errors import UserError


@contextlib.contextmanager
def owned(folder):
    """Make the folder if need be, see that it is a run's or empty, and hold it until the block ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a")  # noqa: SIM115 - held until the block ends
    except OSError as error:
        raise UserError(f"--workdir={folder} cannot be written ({error.strerror}): choose another") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another process is training in {folder}: stop it, or choose another --workdir") from None
        # An empty checkpoints folder is what a run leaves that failed at its start.
        foreign = [path.name for path in folder.iterdir() if path.name not in (".lock", "checkpoints")]
        if foreign and not (folder / "config.json").exists():
            raise UserError(f"--workdir={folder} holds {foreign[0]} but no run (no config.json): choose another")
        yield
