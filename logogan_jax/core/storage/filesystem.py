"""Files of a folder, on the disk or in a bucket (gs://, s3://), by relative name."""

import functools
import lzma
import os
import pathlib
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.object_store import Bucket


def open_store(where: "str | os.PathLike | Folder | Bucket") -> "Folder | Bucket":
    """Return the Folder of a path, or the Bucket of an address such as s3://bucket/logos.

    Nothing is created until something is written.
    """
    return Bucket(str(where)) if "://" in str(where) else Folder(str(where))


def read_file(source: str | os.PathLike) -> bytes:
    """Return the content of one file, by its path or address; the path may lead into a zip."""
    folder, _, name = str(source).rpartition("/")
    if "://" in folder:
        return Bucket(folder).read(name)
    try:
        return pathlib.Path(source).read_bytes()
    except NotADirectoryError:
        archive = zip_of(source)
        if archive is None:
            raise
        return ZipFolder(archive).read_whole(pathlib.Path(source).relative_to(archive).as_posix())


def zip_of(source: str | os.PathLike) -> pathlib.Path | None:
    """Return the zip that a path is or leads into, or None."""
    places = (pathlib.Path(source), *pathlib.Path(source).parents)
    return next((place for place in places if place.is_file() and zipfile.is_zipfile(place)), None)


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


class ZipFolder:
    """The files in a zip, to be read. Where all lie in one folder with sub-folders, names are relative to that."""

    def __init__(self, path: str | os.PathLike):
        self.path = files.expand(path)

    def __str__(self) -> str:
        return f"{self.path}/{self._outer}".rstrip("/")

    @functools.cached_property
    def _outer(self) -> str:
        """The folder, with a slash, in which all files lie that are not hidden, or ""."""
        names = list(self._all_names())
        outer, slash, _ = names[0].partition("/") if names else ("", "", "")
        inside = all(name.startswith(f"{outer}/") for name in names)
        return f"{outer}/" if slash and inside and any(name.count("/") > 1 for name in names) else ""

    def _all_names(self) -> Iterator[str]:
        for name in sorted(_open_zip(self.path, self.path.stat().st_mtime_ns).namelist()):
            parts = name.split("/")
            if parts[-1] and parts[0] != "__MACOSX" and not any(part.startswith(".") for part in parts):
                yield name

    def names(self) -> Iterator[str]:
        """Yield the names of all files but hidden ones and those in hidden folders."""
        return (name.removeprefix(self._outer) for name in self._all_names())

    def read(self, name: str) -> bytes:
        """Return the content of a file; raises KeyError where there is none, RuntimeError where it has a password."""
        return self.read_whole(self._outer + name)

    def read_whole(self, name: str) -> bytes:
        """Return the content of a file by its whole name in the zip."""
        try:
            return _open_zip(self.path, self.path.stat().st_mtime_ns).read(name)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            raise OSError(f"damaged in its zip: {error}") from None

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if there is no such file."""
        try:
            return _open_zip(self.path, self.path.stat().st_mtime_ns).getinfo(self._outer + name).file_size
        except KeyError:
            return None


@functools.lru_cache(1)
def _open_zip(path: pathlib.Path, _: int) -> zipfile.ZipFile:
    # Its directory is read once in each process. The time of the last change belongs to the key.
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is a damaged zip ({error}): bring back a copy of it") from None
