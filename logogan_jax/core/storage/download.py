"""What is in a bucket, downloaded to a folder of this machine, and only as far as it is not there yet."""

import contextlib
import hashlib
import json
import pathlib
import re
import shlex
import shutil
import time
from collections.abc import Collection, Iterator
from typing import NamedTuple, TextIO

from logogan_jax.core import cache, files, locks, progress
from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.core.storage.file_names import check_file_names
from logogan_jax.core.storage.object_store import Bucket, ObjectInfo, Unreachable, map_parallel

ROUNDS = 4  # listings of a bucket, between which what has changed meanwhile is downloaded again

# {address: the lock by which other processes know that this one reads the copy}, until the process ends.
_read_locks: dict[str, TextIO | None] = {}


class Changed(Unfinished):
    """An object is not what it was a moment ago."""


def local_folder(address: str | pathlib.Path) -> pathlib.Path:
    """Return the folder of this machine that holds the files of an address; a path is returned as it is, expanded.

    Only what is missing here or has changed is downloaded. Raises a UserError if there is nothing, if the bucket
    cannot be reached, if the disk has no room, or if another process reads other bytes of the same address.
    """
    if "://" not in str(address):
        return files.expand(address)
    copy = CachedCopy("fetched", Bucket(str(address)))
    if copy.is_read_here():
        return copy.folder
    with copy.lock() as alone:
        for _ in range(ROUNDS):
            objects = _visible_objects(copy)
            if copy.is_current(objects):
                copy.mark_complete()
                return copy.folder
            if not alone:
                raise UserError(
                    f"{copy.address} has changed since another process here began to read it: wait until that has "
                    f"ended, or set LOGOGAN_CACHE to another folder for this one"
                )
            with contextlib.suppress(Changed):
                copy.fetch(objects)
    raise Changed(f"{copy.address} changes while it is downloaded: run the same command when nobody writes there")


def is_hidden(name: str) -> bool:
    """Return whether a file of a relative name is hidden, or is in a hidden folder."""
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _visible_objects(copy: "CachedCopy") -> dict[str, ObjectInfo]:
    """Return the objects of a copy's bucket but hidden ones."""
    try:
        objects = copy.bucket.objects()
    except Unreachable as error:
        if copy.is_complete():
            raise UserError(f"{error}; or use the copy of {copy.date()} as it is, by its path: {copy.folder}") from None
        raise
    objects = {name: info for name, info in objects.items() if not is_hidden(name)}
    if not objects:
        raise UserError(
            f"{copy.address} holds no files: check the address, or upload them: "
            f"python -m data_prep.upload --path=DIR --target_path={shlex.quote(copy.address)}"
        )
    return objects


class Downloaded(NamedTuple):
    """What the manifest tells of a file: the object that it was downloaded from, and when it was written here."""

    size: int
    etag: str
    changed: int  # nanoseconds


class CachedCopy:
    """A folder of the user's cache, below `kind`, for the files of a Bucket.

    A manifest beside it lists what was downloaded, so that neither a change in the bucket nor one here goes unnoticed.
    """

    def __init__(self, kind: str, bucket: Bucket):
        self.bucket = bucket
        self.address = str(bucket)
        readable = re.sub(r"[^\w.-]", "_", self.address.rpartition("/")[2], flags=re.ASCII)[:40]
        name = f"{readable}-{hashlib.sha256(self.address.encode()).hexdigest()[:12]}"
        self.folder = cache.make_folder(kind, name, "files")
        self.home = self.folder.parent
        self._manifest = self.home / "manifest.jsonl"

    # ── who uses it ─────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the copy against those who would change it. Yields whether no other process reads it either.

        Who waits for another that downloads it says so. Afterwards this process counts as one that reads it.
        """
        _read_locks.pop(self.address, None)
        waiting = f"waiting for another process that downloads {self.address}"
        with locks.wait_for_lock(self.home / "lock", message=waiting):
            readers = self.home / "readers"
            alone = locks.try_lock(readers)
            try:
                yield alone is not None
            finally:
                if alone:
                    alone.close()
            _read_locks[self.address] = locks.try_lock(readers, shared=True)

    def is_read_here(self) -> bool:
        """Return whether this process has read the copy before, and must go on to see the same files."""
        return self.address in _read_locks

    # ── what it holds ───────────────────────────────────────────────────────────────────────

    def is_current(self, objects: dict[str, ObjectInfo]) -> bool:
        """Return whether the folder holds the objects and no other file."""
        manifest = self._read_manifest()
        return all(self._has(name, info, manifest) for name, info in objects.items()) and not self._others(objects)

    def fetch(self, objects: dict[str, ObjectInfo], remove: bool = True) -> None:
        """Make the folder hold the objects, each whole; other files are removed, if `remove`.

        Raises Changed if an object is not there any more, or has another size.
        """
        check_file_names(self.address, objects)
        manifest = self._read_manifest()
        missing = {name: info for name, info in objects.items() if not self._has(name, info, manifest)}
        self._check_room(sum(info.size for info in missing.values()))
        self._write_manifest({name: manifest[name] for name in objects.keys() - missing.keys()}, complete=False)
        if remove:
            self._remove_others(objects)
        if missing:
            self._download_all(missing)

    def mark_incomplete(self) -> None:
        """Let the folder count as incomplete."""
        self._write_manifest(self._read_manifest(), complete=False)

    def mark_complete(self) -> None:
        """Let the folder count as complete."""
        if not self.is_complete():
            self._write_manifest(self._read_manifest(), complete=True)

    def is_complete(self) -> bool:
        """Return whether nothing was missing when it was last downloaded."""
        return "" in self._manifest_lines()

    def date(self) -> str:
        """Return when the folder was last downloaded, for a message."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(self._manifest.stat().st_mtime))

    def _manifest_lines(self) -> dict:
        # There is a line for each file, and one for the name "" if nothing is missing. A killed process may have left
        # half of one, which does not end.
        lines = self._manifest.read_text(encoding="utf-8").split("\n")[:-1] if self._manifest.exists() else []
        return dict(map(json.loads, lines))

    def _read_manifest(self) -> dict[str, Downloaded]:
        return {name: Downloaded(*value) for name, value in self._manifest_lines().items() if name}

    def _write_manifest(self, downloaded: dict[str, Downloaded], complete: bool) -> None:
        lines = [_line(name, value) for name, value in downloaded.items()] + ([_line("", True)] if complete else [])
        with files.atomic_write(self._manifest) as partial:
            partial.write_text("".join(lines), encoding="utf-8")

    def _has(self, name: str, info: ObjectInfo, manifest: dict[str, Downloaded]) -> bool:
        try:
            status = (self.folder / name).stat()
        except OSError:
            return False
        return manifest.get(name) == (*info, status.st_mtime_ns) and status.st_size == info.size

    # ── changing it ─────────────────────────────────────────────────────────────────────────

    def _download_all(self, missing: dict[str, ObjectInfo]) -> None:
        total = 1 + sum(info.size for info in missing.values()) // 10**6
        bar = progress.Bar(f"downloading {self.address}", total, unit="MB")
        with bar, open(self._manifest, "a", encoding="utf-8") as manifest:
            done = 0
            for name in map_parallel(lambda name: self._download(name, missing[name]), missing):
                downloaded = Downloaded(*missing[name], (self.folder / name).stat().st_mtime_ns)
                manifest.write(_line(name, downloaded))
                manifest.flush()
                done += downloaded.size
                bar.update(done // 10**6)
            bar.update(total)

    def _download(self, name: str, info: ObjectInfo) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(path) as partial:
            try:
                self.bucket.get(name, partial)
            except FileNotFoundError:
                raise Changed(f"{self.address}/{name} has gone: run the same command again") from None
            if partial.stat().st_size != info.size:
                raise Changed(f"{self.address}/{name} has changed: run the same command again")
        return name

    def _check_room(self, need: int) -> None:
        free = shutil.disk_usage(self.home).free
        if need > free:
            raise UserError(
                f"{self.home} has {free / 1e6:,.0f} MB free, but what {self.address} has takes {need / 1e6:,.0f} MB: "
                f"free some space, or set LOGOGAN_CACHE to a folder of a larger disk"
            )

    def _others(self, objects: Collection[str]) -> list[pathlib.Path]:
        """Return the files in the folder that are none of the objects."""
        paths = (path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())
        return [path for path in paths if path.relative_to(self.folder).as_posix() not in objects]

    def _remove_others(self, objects: Collection[str]) -> None:
        for path in self._others(objects):
            path.unlink()
        for path in sorted(self.folder.rglob("*"), reverse=True):  # what is in a folder comes before it
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _line(name: str, value: Downloaded | bool) -> str:
    return json.dumps([name, value]) + "\n"
