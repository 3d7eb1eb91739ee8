"""A new folder that appears under its name only when it is complete, and that one process writes at a time."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from logogan_jax.core import locks
from logogan_jax.core.errors import UserError

_ATTEMPTS = 100  # to lock a folder that other processes rename meanwhile


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
    waiting = f"Another process is writing {partial}; waiting for it."
    reason = "other processes keep renaming it"
    for _ in range(_ATTEMPTS):
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                partial.mkdir()
            file = locks.wait_for_lock(lock, message=waiting)
        except FileNotFoundError as error:
            reason = error.strerror
            continue  # another process is just renaming the folder, or the place does not exist
        except OSError as error:
            reason = error.strerror
            break
        with file:
            if lock.exists() and os.path.samestat(os.stat(lock), os.fstat(file.fileno())):
                yield
                return
            # The other process has renamed the folder together with this lock file: try again with a new one.
    raise UserError(f"{partial.parent} cannot be written ({reason}): choose another place")
