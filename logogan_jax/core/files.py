"""Files: whole under their name or not there, and locked while somebody needs them."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib


@contextlib.contextmanager
def atomic_write(path):
    """A hidden path to write to, moved to `path` when the block ends well and removed when it does not."""
    path = pathlib.Path(path)
    # Short, because a name may already be as long as the file system allows.
    partial = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def try_lock(path, how=fcntl.LOCK_EX):
    """The open file that holds a lock until it is closed or the process ends, however it ends; None if others do."""
    file = open(path, "a")  # noqa: SIM115 - held by the caller
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def to_json(value):
    """A value as indented JSON."""
    return json.dumps(value, indent=2) + "\n"


def write_json(path, value):
    """Write a value as indented JSON."""
    with atomic_write(path) as partial:
        partial.write_text(to_json(value))
