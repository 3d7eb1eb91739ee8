"""Files that are whole under their name or not there, and locks that end with the process."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, TextIO


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a hidden path to write to, which is moved to `path` if the block ends well and removed if it does not."""
    path = pathlib.Path(path)
    # Short, because a name may already be as long as the file system allows.
    partial = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def try_lock(path: str | os.PathLike, how: int = fcntl.LOCK_EX) -> TextIO | None:
    """Take a lock on a file. Returns the open file that holds it, or None if another process has it.

    The lock lasts until the file is closed or the process ends, however it ends.
    """
    file = open(path, "a")  # noqa: SIM115 - held by the caller
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def to_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2) + "\n"


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a value as indented JSON."""
    with atomic_write(path) as partial:
        partial.write_text(to_json(value))
