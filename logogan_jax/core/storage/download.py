"""What is in a bucket, brought to a folder of this machine."""

import contextlib
import fcntl
import hashlib
import json
import pathlib
import re
import shutil
import sys
import time

from logogan_jax.core import cache, files, progress
from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.core.storage import filesystem
from logogan_jax.core.storage.object_store import Unreachable, map_parallel

ROUNDS = 4  # looks at a bucket, between which what has changed meanwhile is brought again

_in_use = {}  # address: the lock on its copy that other processes respect until this one ends


class Changed(Unfinished):
    """An object is not what it was a moment ago."""


def local_folder(address):
    """The folder of this machine with the files that are at an address; a path is returned as it is, expanded.

    Only what is missing here or has changed is brought. A UserError tells that there is nothing, that the bucket
    cannot be reached, that the disk has no room, or that another process reads other bytes of the same address.
    """
    if "://" not in str(address):
        return pathlib.Path(address).expanduser()
    copy = CachedCopy("fetched", filesystem.open_store(address))
    if copy.address in _in_use:
        return copy.folder
    with copy.lock() as alone:
        for _ in range(ROUNDS):
            objects = _found(copy)
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
    raise Changed(f"{copy.address} changes while it is brought: run the same command when nobody writes there")


def _found(copy):
    """{name: Object} of the files of a Bucket that others may want."""
    try:
        objects = copy.bucket.objects()
    except Unreachable as error:
        if copy.is_complete():
            raise UserError(f"{error}; or use the copy of {copy.date()} as it is, by its path: {copy.folder}") from None
        raise
    objects = {name: found for name, found in objects.items() if not is_hidden(name)}
    if not objects:
        raise UserError(
            f"{copy.address} holds no files: check the address, or bring them there: "
            f"python -m data_prep.upload --path=DIR --target_path={copy.address}"
        )
    return objects


def is_hidden(name):
    """Whether a file of a relative name is, or is in, what a folder does not show."""
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


class CachedCopy:
    """A folder of the user's cache, below `kind`, for the files of a Bucket."""

    def __init__(self, kind, bucket):
        self.bucket, self.address = bucket, str(bucket)
        readable = re.sub(r"[^\w.-]", "_", self.address.rpartition("/")[2], flags=re.ASCII)[:40]
        self.home = cache.path(kind, f"{readable}-{hashlib.sha256(self.address.encode()).hexdigest()[:12]}")
        self.folder, self._manifest = self.home / "files", self.home / "manifest.jsonl"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.home} cannot be made ({error.strerror}): set LOGOGAN_CACHE to a folder that can be written"
            ) from None

    @contextlib.contextmanager
    def lock(self):
        """Hold the copy against those who would change it; yield whether no other process reads it either.

        Who waits for another that brings it says so. Afterwards this process counts as one that reads it.
        """
        _in_use.pop(self.address, None)
        held = files.try_lock(self.home / "lock")
        if held is None:
            print(f"waiting for another process that brings {self.address}", file=sys.stderr, flush=True)
            held = open(self.home / "lock", "a")  # noqa: SIM115 - closed below
            fcntl.flock(held, fcntl.LOCK_EX)
        with held:
            readers = self.home / "readers"
            alone = files.try_lock(readers)
            try:
                yield alone is not None
            finally:
                if alone:
                    alone.close()
            _in_use[self.address] = files.try_lock(readers, fcntl.LOCK_SH)

    def is_current(self, objects):
        """Whether the folder holds the objects {name: Object} and no other file."""
        known = self._known()
        return all(self._has(name, found, known) for name, found in objects.items()) and not self._others(objects)

    def fetch(self, objects, remove=True):
        """Make the folder hold the objects {name: Object}, each whole; other files go, if `remove`.

        Raises Changed if an object is not there any more, or has another size.
        """
        _check_names(self.address, objects)
        known = self._known()
        missing = {name: found for name, found in objects.items() if not self._has(name, found, known)}
        total = sum(found.size for found in missing.values())
        self._need_room(total)
        self._write({name: known[name] for name in objects.keys() - missing.keys()})
        if remove:
            self._remove_others(objects)
        if not missing:
            return
        bar = progress.Bar(f"bringing {self.address}", 1 + total // 10**6, unit="MB")
        with bar, open(self._manifest, "a") as manifest:
            done = 0
            for name in map_parallel(lambda name: self._bring(name, missing[name]), missing):
                found, done = missing[name], done + missing[name].size
                manifest.write(_line(name, [found.size, found.version, (self.folder / name).stat().st_mtime_ns]))
                manifest.flush()
                bar.update(done // 10**6)
            bar.update(1 + total // 10**6)

    def mark_incomplete(self):
        """Let the folder count as not whole."""
        self._write({name: about for name, about in self._known().items() if name})

    def mark_complete(self):
        """Let the folder count as whole."""
        if not self.is_complete():
            self._write({**self._known(), "": True})

    def is_complete(self):
        """Whether nothing was missing when it was last brought."""
        return "" in self._known()

    def date(self):
        """When the folder was last brought, in words."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(self._manifest.stat().st_mtime))

    def _known(self):
        """{name: [size, version, time of the file here]} of what was brought, and "" if that was all."""
        lines = self._manifest.read_text().split("\n")[:-1] if self._manifest.exists() else []
        return dict(map(json.loads, lines))

    def _write(self, known):
        with files.atomic_write(self._manifest) as partial:
            partial.write_text("".join(_line(name, about) for name, about in known.items()))

    def _has(self, name, found, known):
        size, version, time_here = known.get(name, (None, None, None))
        try:
            here = (self.folder / name).stat()
        except OSError:
            return False
        return (size, version) == found and (here.st_size, here.st_mtime_ns) == (size, time_here)

    def _bring(self, name, found):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(path) as partial:
            try:
                self.bucket.get(name, partial)
            except FileNotFoundError:
                raise Changed(f"{self.address}/{name} has gone: run the same command again") from None
            if partial.stat().st_size != found.size:
                raise Changed(f"{self.address}/{name} has changed: run the same command again")
        return name

    def _need_room(self, need):
        free = shutil.disk_usage(self.home).free
        if need > free:
            raise UserError(
                f"{self.home} has {free / 1e6:,.0f} MB free, but what {self.address} has takes {need / 1e6:,.0f} MB: "
                f"free some space, or set LOGOGAN_CACHE to a folder of a larger disk"
            )

    def _others(self, objects):
        """The files in the folder that are none of the objects."""
        paths = (path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())
        return [path for path in paths if path.relative_to(self.folder).as_posix() not in objects]

    def _remove_others(self, objects):
        for path in self._others(objects):
            path.unlink()
        for path in sorted(self.folder.rglob("*"), reverse=True):  # what is in a folder comes before it
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _line(name, value):
    return json.dumps([name, value]) + "\n"


def _check_names(address, names):
    """Refuse names that no files of a folder can have."""
    for name in names:
        parts = name.split("/")
        above = ("/".join(parts[:i]) for i in range(1, len(parts)))
        if {"", ".", ".."} & set(parts) or any(folder in names for folder in above):
            raise UserError(f"{address} holds {name!r}, which cannot be a file beside the others: remove or rename it")
