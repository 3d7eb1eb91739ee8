"""A run that works in a folder of this machine and is kept in a bucket."""

import contextlib
import pathlib
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from logogan_jax.core import files, locks
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import commit_markers, download, upload
from logogan_jax.core.storage.commit_markers import CommitMarkers, FileDigest
from logogan_jax.core.storage.lease import Lease
from logogan_jax.core.storage.object_store import Bucket, ObjectInfo
from logogan_jax.core.storage.upload_thread import UploadThread


def download_run(address: str | pathlib.Path) -> pathlib.Path:
    """Download the run at an address, to be read. Returns its folder on this machine; a path is returned expanded.

    Checkpoints that are not complete are left out. Raises a UserError if there is no run.
    """
    if "://" not in str(address):
        return files.expand(address)
    copy = download.CachedCopy("fetched", Bucket(str(address)))
    markers = CommitMarkers(copy.bucket)
    attempts = 0
    with copy.lock() as alone:
        while True:
            objects = copy.bucket.objects()
            if "config.json" not in objects:
                raise UserError(f"{address} holds no run (no config.json): give the address that training wrote to")
            try:
                # What another process reads stays, though the run may have removed it.
                copy.fetch(_files_of_run(objects, markers.complete(objects)), remove=alone)
                return copy.folder
            except download.Changed:
                attempts += 1
                if attempts == download.ROUNDS:
                    raise


@contextlib.contextmanager
def synced_workdir(address: str | pathlib.Path) -> Iterator[tuple[pathlib.Path, Callable[[], None]]]:
    """Yield (the folder to work in, a function that asks for it to be copied to the address).

    A path is the folder itself, expanded. For an address, all is copied at the end; UserErrors are those of SyncedRun.
    """
    if "://" not in str(address):
        yield files.expand(address), lambda: None
        return
    with contextlib.closing(SyncedRun(str(address))) as run:
        run.acquire()
        yield run.local, run.request_upload


class SyncedRun:
    """A run's folder `local`, and the folder of a bucket that a thread keeps up to date with it.

    The bucket is the truth, except for what the last writer, on this machine, had not copied yet. A checkpoint is
    there after the log lines that lead to it, and before those that it replaces are removed.
    """

    def __init__(self, address: str):
        self._bucket = Bucket(address)
        self._copy = download.CachedCopy("runs", self._bucket)
        self.local = self._copy.folder
        self._markers = CommitMarkers(self._bucket)
        self._lease = Lease(self._bucket, _name_in(self._copy.home / "writer"))
        self._uploader = upload.Uploader(self.local, self._bucket, self._lease)
        self._lock_file: TextIO | None = None
        self._thread: UploadThread | None = None

    def acquire(self) -> None:
        """Become the one who writes to the bucket, and make `local` the run that is there.

        Raises a UserError about another process or machine that writes there, or about what is wrong with the bucket.
        """
        self._lock_file = locks.try_lock(self._copy.home / "lock")
        if self._lock_file is None:
            raise UserError(f"another process is training in {self._bucket}: stop it, or choose another --workdir")
        # A copy that another writer has overtaken counts for nothing, even if this process is killed before it has
        # downloaded the run again. So this is written down before the lease says that this writer is the last.
        if self._lease.last_writer() != self._lease.writer:
            self._copy.mark_incomplete()
        if self._lease.acquire() != self._lease.writer:
            self._copy.mark_incomplete()
        self._markers.repair(self._bucket.objects())
        objects = self._bucket.objects()
        complete = self._markers.complete(objects)
        if not (self._copy.is_complete() and self._continues(objects, complete)):
            self._download(objects, complete)
        self._uploader.start(objects, complete)
        self._thread = UploadThread(self._uploader)
        self._thread.start()

    def request_upload(self) -> None:
        """Ask for the bucket to be brought up to date; raises the error of an upload that has failed before."""
        assert self._thread, "acquire() comes first"
        if self._thread.failure:
            raise self._thread.failure
        self._thread.request()

    def wait(self) -> None:
        """Return when all that is in `local` now is in the bucket; raises the error of an upload that failed."""
        assert self._thread, "acquire() comes first"
        self._thread.request(urgent=True).result()

    def close(self) -> None:
        """Bring the bucket up to date, unless that has failed before, and let others write there."""
        try:
            if self._thread and not self._thread.failure:
                self.wait()
        finally:
            if self._thread:
                self._thread.stop()
            self._lease.release()
            if self._lock_file:
                self._lock_file.close()

    def _continues(self, objects: dict[str, ObjectInfo], complete: dict[int, dict[str, FileDigest]]) -> bool:
        """Return whether `local` is the run of the bucket, and as far as that or further."""
        config = self.local / "config.json"
        if "config.json" in objects:
            content = self._bucket.read("config.json")
            if not config.exists() or config.read_bytes() != content:
                return False
        return max(upload.scan(self.local).checkpoints, default=0) >= max(complete, default=0)

    def _download(self, objects: dict[str, ObjectInfo], complete: dict[int, dict[str, FileDigest]]) -> None:
        """Make `local` the run of the bucket."""
        dropped = sorted(upload.scan(self.local).checkpoints.keys() - complete.keys())
        if dropped:
            print(f"{self._bucket} has gone on elsewhere: checkpoints {dropped} here are dropped", file=sys.stderr)
        for step in sorted(commit_markers.steps(objects) - complete.keys()):
            print(f"{self._bucket}/checkpoints/{step} is not whole: it is left out", file=sys.stderr)
        self._copy.fetch(_files_of_run(objects, complete))
        for step, listed in complete.items():
            if commit_markers.describe_files(self.local / "checkpoints" / str(step)) != listed:
                marker = f"{self._bucket}/checkpoints/{step}.whole"
                raise UserError(
                    f"what came is not what {marker} says: remove that mark to go on without the checkpoint"
                )
        self._copy.mark_complete()


def _files_of_run(objects: dict[str, ObjectInfo], complete: dict[int, dict[str, FileDigest]]) -> dict[str, ObjectInfo]:
    """Return those of a bucket's objects that are files of a run: complete checkpoints, and all outside checkpoints."""
    wanted = {
        name: info
        for name, info in objects.items()
        if commit_markers.step_of(name) is None and not download.is_hidden(name)
    }
    for step, listed in complete.items():
        for name in listed:
            wanted[f"checkpoints/{step}/{name}"] = objects[f"checkpoints/{step}/{name}"]
    return wanted


def _name_in(path: pathlib.Path) -> str:
    """Return the name that a file holds; it is made up if there is no file yet."""
    if not path.exists():
        with files.atomic_write(path) as partial:
            partial.write_text(secrets.token_hex(8), encoding="utf-8")
    return path.read_text(encoding="utf-8")
