"""Lines of JSON that are there after a crash: what a tool has done so far, and how it went."""

import json
import time

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

# The objects of a bucket cannot grow: a journal is copied there anew, at most every second and for at most a part
# of the time. A kill -9 loses the lines since the last copy.
_EVERY, _SHARE = 1.0, 0.05


class Journal:
    """A .jsonl file of a store; use as a context manager.

    Iterating gives the lines that earlier runs left, in order, without a last one that a crash cut
    short; `lines` is a list of them. Entering drops those of which `keep`, called once with each, is false.
    """

    def __init__(self, where, name, keep=None):
        self._where, self._name, self._keep = where, name, keep
        self._earlier = sum(map(len, self._whole())) if where.size(name) else 0
        self._kept, self._file, self._due = [], None, 0.0

    @property
    def lines(self):
        """A list of the lines that earlier runs left."""
        return list(self)

    def __iter__(self):
        return (line for _, line in self._parsed())

    def __enter__(self):
        wanted = (raw for raw, line in self._parsed() if self._keep is None or self._keep(line))
        if isinstance(self._where, filesystem.Folder):
            path = self._where.where / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic_write(path) as partial, open(partial, "wb") as file:
                file.writelines(wanted)
            self._earlier = path.stat().st_size
            self._file = open(path, "ab")
        else:
            self._kept = list(wanted)
            self._copy()
            self._earlier = len(self._kept[0])
        return self

    def __exit__(self, *_):
        if self._file:
            self._file.close()
        else:
            self._copy()

    def write(self, line):
        """Append a dictionary; on the disk it is there at once."""
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        if self._file:
            self._file.write(data)
            self._file.flush()
            return
        self._kept.append(data)
        if time.monotonic() >= self._due:
            self._copy()

    def _whole(self):
        """The lines that end, as bytes."""
        with self._where.open(self._name) as file:
            yield from (line for line in file if line.endswith(b"\n"))

    def _parsed(self):
        """(bytes, dictionary) of each line that was there when the journal was opened."""
        read = 0
        for number, raw in enumerate(self._whole() if self._earlier else (), 1):
            read += len(raw)
            if read > self._earlier:
                return
            try:
                yield raw, json.loads(raw)
            except ValueError:
                place = f"{self._where}/{self._name}, line {number}"
                raise UserError(f"{place}: this is not JSON; remove the line, or the file to start afresh") from None

    def _copy(self):
        start, self._kept = time.monotonic(), [b"".join(self._kept)]
        self._where.write(self._name, self._kept[0])
        self._due = time.monotonic() + max(_EVERY, (time.monotonic() - start) / _SHARE)
