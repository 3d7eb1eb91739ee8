"""Lines of JSON that survive a crash: what a tool has done so far, and with what result."""

import json
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

# The objects of a bucket cannot be appended to, so a journal is copied there as a whole: at most once a second, and
# for at most a share of the time. A kill -9 loses the lines since the last copy.
MIN_INTERVAL = 1.0  # seconds
COPYING_SHARE = 0.05


class Journal:
    """A .jsonl file in a store; use as a context manager.

    Iterating yields the lines that earlier runs left, in order, except a last one that a crash cut short. Entering
    drops those lines for which `keep`, called once with each, is false.
    """

    def __init__(
        self, where: filesystem.Folder | filesystem.Bucket, name: str,
        keep: Callable[[dict[str, Any]], bool] | None = None,
    ):  # fmt: skip
        self._where = where
        self._name = name
        self._keep = keep
        self._earlier_bytes = sum(map(len, self._complete_lines())) if where.size(name) else 0
        self._buffer: list[bytes] = []  # of a bucket: everything that the object should hold
        self._file: IO[bytes] | None = None  # of a folder
        self._next_copy = 0.0

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines that earlier runs left."""
        return list(self)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (line for _, line in self._parsed_lines())

    def __enter__(self) -> "Journal":
        kept = (raw for raw, line in self._parsed_lines() if self._keep is None or self._keep(line))
        if isinstance(self._where, filesystem.Folder):
            path = self._where.path / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic_write(path) as partial, open(partial, "wb") as file:
                file.writelines(kept)
            self._earlier_bytes = path.stat().st_size
            self._file = open(path, "ab")
        else:
            self._buffer = list(kept)
            self._copy()
            self._earlier_bytes = len(self._buffer[0])
        return self

    def __exit__(self, *_) -> None:
        if self._file:
            self._file.close()
        else:
            self._copy()

    def write(self, line: dict[str, Any]) -> None:
        """Append a line; in a folder it is on the disk at once."""
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        if self._file:
            self._file.write(data)
            self._file.flush()
            return
        self._buffer.append(data)
        if time.monotonic() >= self._next_copy:
            self._copy()

    def _complete_lines(self) -> Iterator[bytes]:
        with self._where.open(self._name) as file:
            yield from (line for line in file if line.endswith(b"\n"))

    def _parsed_lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """(bytes, dictionary) of each line that was there when the journal was opened."""
        read = 0
        for number, raw in enumerate(self._complete_lines() if self._earlier_bytes else (), 1):
            read += len(raw)
            if read > self._earlier_bytes:
                return
            try:
                yield raw, json.loads(raw)
            except ValueError:
                place = f"{self._where}/{self._name}, line {number}"
                raise UserError(f"{place}: this is not JSON; remove the line, or the file to start afresh") from None

    def _copy(self) -> None:
        started = time.monotonic()
        self._buffer = [b"".join(self._buffer)]
        self._where.write(self._name, self._buffer[0])
        finished = time.monotonic()
        self._next_copy = finished + max(MIN_INTERVAL, (finished - started) / COPYING_SHARE)
