"""Files of a folder, on the disk or in a bucket (gs://, s3://), by relative name."""

import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import BinaryIO

from logogan_jax.core import files
from logogan_jax.core.storage.object_store import Bucket

TOOL_FILES = {"manifest.jsonl", "rejects.jsonl", "removed.jsonl", "settings.json"}  # that our tools leave beside images


def open_store(where: "str | os.PathLike | Folder | Bucket") -> "Folder | Bucket":
    """Return the Folder of a path, or the Bucket of an address such as s3://bucket/logos.

    Nothing is created until something is written.
    """
    return Bucket(str(where)) if "://" in str(where) else Folder(str(where))


def image_names(store: "Folder | Bucket") -> Iterator[str]:
    """Yield the names of the files that may be images: all but those that our tools leave beside them."""
    return (name for name in store.names() if name.rpartition("/")[2] not in TOOL_FILES)


def read_file(source: str | os.PathLike) -> bytes:
    """Return the content of one file, by its path or address."""
    folder, _, name = str(source).rpartition("/")
    return Bucket(folder).read(name) if "://" in folder else pathlib.Path(source).read_bytes()


class Folder:
    """A folder on the disk, with the methods of a Bucket. Names are relative, with `/` between their parts."""

    def __init__(self, path: str | os.PathLike):
        self.path = files.expand(path)

    def __str__(self) -> str:
        return str(self.path)

    def names(self, below: str = "") -> Iterator[str]:
        """Yield the names of all files but hidden ones and those in hidden folders, in the order of a bucket."""
        with os.scandir(self.path / below) as listed:
            entries = [entry for entry in listed if not entry.name.startswith(".")]
        # The order is that of whole names, in which a.b comes before a/b.
        is_folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        for entry in sorted(entries, key=lambda entry: entry.name + "/" * is_folder[entry.name]):
            if is_folder[entry.name]:
                yield from self.names(f"{below}{entry.name}/")
            elif entry.is_file() or entry.is_symlink():  # a link to nowhere is for its reader to complain of
                yield f"{below}{entry.name}"

    def exists(self) -> bool:
        """Return whether the folder is there."""
        return self.path.is_dir()

    def read(self, name: str) -> bytes:
        """Return the content of a file; raises FileNotFoundError."""
        return (self.path / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """Open a file to read bytes from; raises FileNotFoundError."""
        return open(self.path / name, "rb")

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if there is no such file."""
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def sizes(self) -> Callable[[str], int | None]:
        """Return a function like `size` that is quick for many names."""
        return self.size

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""
        path = self._path_in_made_folder(name)
        with files.atomic_write(path) as partial:
            partial.write_bytes(data)

    def put(self, name: str, path: str | os.PathLike) -> None:
        """Copy another file of the disk."""
        target = self._path_in_made_folder(name)
        with files.atomic_write(target) as partial:
            shutil.copyfile(path, partial)

    def remove(self, name: str) -> None:
        """Remove a file; raises FileNotFoundError."""
        (self.path / name).unlink()

    def _path_in_made_folder(self, name: str) -> pathlib.Path:
        """Return the path of a file, whose folder is made if it is not there."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
