"""Files that are whole under their name or not there."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any


def expand(path: str | os.PathLike) -> pathlib.Path:
    """Return a path with a leading `~` or `~name` replaced by that home, as the shell does; unknown homes stay."""
    return pathlib.Path(os.path.expanduser(path))


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


def to_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2) + "\n"


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a value as indented JSON."""
    with atomic_write(path) as partial:
        partial.write_text(to_json(value))
