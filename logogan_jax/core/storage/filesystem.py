"""Files of a folder, on the disk or in a bucket (gs://, s3://), by relative name."""

import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import BinaryIO

from logogan_jax.core import files
from logogan_jax.core.storage.object_store import Bucket


def open_store(where: "str | os.PathLike | Folder | Bucket") -> "Folder | Bucket":
    """Return the Folder of a path, or the Bucket of an address such as s3://bucket/logos.

    Nothing is created until something is written.
    """
    return Bucket(str(where)) if "://" in str(where) else Folder(str(where))


def read_file(source: str | os.PathLike) -> bytes:
    """Return the content of one file, by its path or address."""
    folder, _, name = str(source).rpartition("/")
    return Bucket(folder).read(name) if "://" in folder else pathlib.Path(source).read_bytes()


def _is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _identity(path: pathlib.Path) -> tuple[int, int]:
    """Return what two paths of one folder have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


class Folder:
    """A folder on the disk, with the methods of a Bucket. Names are relative, with `/` between their parts."""

    def __init__(self, path: str | os.PathLike):
        self.path = files.expand(path)

    def __str__(self) -> str:
        return str(self.path)

    def names(
        self, leave: Callable[[str], str | None] | None = None, left_out: dict[str, str] | None = None
    ) -> Iterator[str]:
        """Yield the names of all files but hidden ones and those in hidden folders, in the order of a bucket.

        Links to folders are followed, except those that would never end. `leave` gives a reason not to read a folder,
        by its name, or None. The folders that are not read become {name: reason} in `left_out`.
        """
        left_out = {} if left_out is None else left_out
        yield from self._walk("", (_identity(self.path),), set(), leave or (lambda _: None), left_out)

    def _walk(
        self, below: str, ancestors: tuple[tuple[int, int], ...], linked: set[tuple[int, int]],
        leave: Callable[[str], str | None], left_out: dict[str, str],
    ) -> Iterator[str]:  # fmt: skip
        """Yield the names below a folder; `linked` are the folders that links in sub-folders have led to."""
        with os.scandir(self.path / below) as listed:
            entries = [entry for entry in listed if not entry.name.startswith(".")]
        # The order is that of whole names, in which a.b comes before a/b.
        is_folder = {entry.name: _is_folder(entry) for entry in entries}
        for entry in sorted(entries, key=lambda entry: entry.name + "/" * is_folder[entry.name]):
            name = f"{below}{entry.name}"
            if not is_folder[entry.name]:
                if entry.is_symlink() or entry.is_file():  # a link to nowhere is for its reader to complain of
                    yield name
                continue
            identity = _identity(self.path / name)
            reason = leave(name)
            if identity in ancestors:
                reason = "a link to a folder that it lies in"
            elif below and entry.is_symlink():
                # Folders that link to one another would otherwise be read once for each order of them.
                reason = "a second link to one folder" if identity in linked else reason
                linked.add(identity)
            if reason:
                left_out[name] = reason
            else:
                yield from self._walk(f"{name}/", (*ancestors, identity), linked, leave, left_out)

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
