"""A folder in the making: hidden until it is whole, held by one process, kept for the next when that one stops."""

import contextlib
import fcntl
import os
import shutil

from logogan_jax.core.errors import UserError


@contextlib.contextmanager
def create(target):
    """A hidden folder beside `target` that takes its name when the block ends well.

    What a stopped block leaves is there for the next. A second process waits for the first. A target
    that holds anything is a UserError, and so is a place that cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    with _held(partial):
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
def _held(partial):
    lock = partial / ".lock"
    while True:
        try:
            partial.mkdir(parents=True, exist_ok=True)
            file = open(lock, "a")  # noqa: SIM115 - held until the block ends
        except FileNotFoundError:
            continue  # the process before us is just giving the folder its name
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
            # The process before us has given the folder its name, lock and all.
