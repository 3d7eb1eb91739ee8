"""A new folder that appears under its name only when it is complete, and that one process writes at a time."""

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterator

from logogan_jax.core.errors import UserError


@contextlib.contextmanager
def create(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a hidden folder beside `target`, which is renamed to `target` when the block ends without an error.

    After an interruption the hidden folder stays, and the next call yields it again. After a UserError it is removed.
    A second process waits for the first.

    Raises:
        UserError: if `target` is not empty, or cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    with _locked(partial):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            shutil.rmtree(partial)
            raise UserError(f"--target_path={target} is not an empty folder: remove it or choose another")
        try:
            yield partial
        except UserError:
            shutil.rmtree(partial)
            raise
        (partial / ".lock").unlink()
        os.replace(partial, target)


@contextlib.contextmanager
def _locked(partial: pathlib.Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if necessary, until the block ends."""
    lock = partial / ".lock"
    while True:
        try:
            partial.mkdir(parents=True, exist_ok=True)
            file = open(lock, "a")  # noqa: SIM115 - held until the block ends
        except FileNotFoundError:
            continue  # another process is just renaming the folder
        except OSError as error:
            raise UserError(f"{partial.parent} cannot be written ({error.strerror}): choose another place") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                print(f"Another process is writing {partial}; waiting for it.", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(os.stat(lock), os.fstat(file.fileno())):
                yield
                return
            # The other process has renamed the folder together with this lock file: try again with a new one.
