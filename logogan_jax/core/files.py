"""Files that are whole under their name or not there."""

import contextlib
import errno
import hashlib
import json
import math
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any


def expand(path: str | os.PathLike) -> pathlib.Path:
    """Return a path with a leading `~` or `~name` replaced by that home, as the shell does; unknown homes stay."""
    return pathlib.Path(os.path.expanduser(path))


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a hidden path to write to, which is moved to `path` if the block ends well and removed if it does not.

    Raises an OSError if the path is there and is no ordinary file: a device would be replaced for all programs.
    """
    path = pathlib.Path(path)
    if path.is_dir() or not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.ENOTSUP, "not an ordinary file", str(path))
    # Short, because a name may already be as long as the file system allows.
    partial = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def try_to_write(folder: pathlib.Path) -> None:
    """Raise an OSError if a folder is not there or cannot be written."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def check_appends(folder: pathlib.Path) -> None:
    """Raise an OSError if files in a folder cannot be appended to or replaced, as in most mounted buckets."""
    path = folder / ".probe"
    path.unlink(missing_ok=True)  # of a process that was killed
    try:
        path.write_bytes(b"1")
        with open(path, "ab") as file:
            file.write(b"2")
        if path.read_bytes() != b"12":
            raise OSError(errno.ENOTSUP, "what was appended is lost")
        with atomic_write(path) as partial:
            partial.write_bytes(b"3")
    finally:
        path.unlink(missing_ok=True)


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return a value as JSON, indented or as one line; null stands for a number that is not finite."""
    return json.dumps(_without_non_finite(value), indent=indent, allow_nan=False) + "\n"


def _without_non_finite(value: Any) -> Any:
    """Return a value of lists and dictionaries with None for each number that is not finite: JSON has none."""
    if isinstance(value, Mapping):
        return {name: _without_non_finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_non_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty one where the file is missing or is not a whole object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a value as indented JSON."""
    with atomic_write(path) as partial:
        partial.write_text(to_json(value), encoding="utf-8")
