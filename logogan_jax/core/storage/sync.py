"""A run that works in a folder of this machine and is kept in a bucket."""

import contextlib
import pathlib
import secrets
import sys
import threading
import time

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import commit_markers, download, filesystem, lease, upload
from logogan_jax.core.storage.object_store import Unreachable

PACE = 20.0  # seconds from the beginning of a push to the next, unless somebody waits for it
PATIENCE = 300.0  # seconds for which a bucket may be out of reach


def download_run(address):
    """The folder of this machine to which the run at an address was brought, to be read; a path is returned expanded.

    Checkpoints that are not whole are left out. A UserError tells that there is no run.
    """
    if "://" not in str(address):
        return pathlib.Path(address).expanduser()
    copy = download.CachedCopy("fetched", filesystem.open_store(address))
    known = commit_markers.CommitMarkers(copy.bucket)
    with copy.lock() as alone:
        for _ in range(download.ROUNDS):
            objects = copy.bucket.objects()
            if "config.json" not in objects:
                raise UserError(f"{address} holds no run (no config.json): give the address that training wrote to")
            try:
                # What another process reads stays, though the run may have removed it.
                copy.fetch(_run(objects, known.complete(objects)), remove=alone)
                return copy.folder
            except download.Changed as error:
                changed = error
    raise changed


@contextlib.contextmanager
def synced_workdir(address):
    """(the folder of this machine to work in, a function that asks for it to be copied to the address), until the end.

    A path is the folder itself, expanded. For an address, all is copied at the end; UserErrors are those of SyncedRun.
    """
    if "://" not in str(address):
        yield pathlib.Path(address).expanduser(), lambda: None
        return
    with contextlib.closing(SyncedRun(address)) as run:
        run.acquire()
        yield run.local, run.request_upload


class SyncedRun:
    """A run's folder `local`, and the folder of a bucket that is kept in step with it by a thread.

    The bucket is the truth, except for what the last that wrote there, on this machine, had not copied yet. A
    checkpoint is there after the log lines that lead to it, and before those that it replaces are removed.
    """

    def __init__(self, address):
        self._bucket = filesystem.open_store(address)
        self._copy = download.CachedCopy("runs", self._bucket)
        self.local, self._markers = self._copy.folder, commit_markers.CommitMarkers(self._bucket)
        self._lease = lease.Lease(self._bucket, _name(self._copy.home / "writer"))
        self._held = self._thread = self._failed = None
        self._uploader = upload.Uploader(self.local, self._bucket, self._lease)
        self._turn, self._asked, self._done, self._hurry, self._closed = threading.Condition(), 0, 0, False, False

    def acquire(self):
        """Become the one who writes to the bucket, and make `local` the run that is there.

        A UserError tells of another process or machine that writes there, or of what is wrong with the bucket.
        """
        self._held = files.try_lock(self._copy.home / "lock")
        if self._held is None:
            raise UserError(f"another process is training in {self._bucket}: stop it, or choose another --workdir")
        # A copy that others have overtaken is none, even if this process is killed before it has another.
        if self._lease.last_writer() != self._lease.writer:
            self._copy.mark_incomplete()
        if self._lease.acquire() != self._lease.writer:
            self._copy.mark_incomplete()
        self._markers.repair(self._bucket.objects())
        objects = self._bucket.objects()
        whole = self._markers.complete(objects)
        if not (self._copy.is_complete() and self._goes_on(objects, whole)):
            self._bring(objects, whole)
        self._uploader.start(objects, whole)
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def request_upload(self):
        """Ask for the bucket to be brought up to date; a UserError tells what has gone wrong before."""
        with self._turn:
            self._raise()
            self._asked += 1
            self._turn.notify_all()

    def wait(self):
        """Return when all that is here now is in the bucket; a UserError tells why it cannot be."""
        with self._turn:
            self._asked += 1
            asked, self._hurry = self._asked, True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._done >= asked or self._failed)
            self._raise()

    def close(self):
        """Bring the bucket up to date, unless that has failed before, and let others write there."""
        try:
            if self._thread and not self._failed:
                self.wait()
        finally:
            with self._turn:
                self._closed = True
                self._turn.notify_all()
            if self._thread:
                self._thread.join()
            self._lease.release()
            if self._held:
                self._held.close()

    def _raise(self):
        if self._failed:
            raise self._failed

    # ── at the start ────────────────────────────────────────────────────────────────────────

    def _goes_on(self, objects, whole):
        """Whether `local` is the run of the bucket, as far or further."""
        config = self.local / "config.json"
        if "config.json" in objects:
            there = self._bucket.read("config.json")
            if not config.exists() or config.read_bytes() != there:
                return False
        return max(upload.scan(self.local).steps, default=0) >= max(whole, default=0)

    def _bring(self, objects, whole):
        lost = sorted(upload.scan(self.local).steps.keys() - whole.keys())
        if lost:
            print(f"{self._bucket} has gone on elsewhere: checkpoints {lost} here are dropped", file=sys.stderr)
        for step in sorted(commit_markers.steps(objects) - whole.keys()):
            print(f"{self._bucket}/checkpoints/{step} is not whole: it is left out", file=sys.stderr)
        self._copy.fetch(_run(objects, whole))
        for step, listed in whole.items():
            if commit_markers.describe_files(self.local / "checkpoints" / str(step)) != listed:
                mark = f"{self._bucket}/checkpoints/{step}.whole"
                raise UserError(f"what came is not what {mark} says: remove that mark to go on without the checkpoint")
        self._copy.mark_complete()

    # ── in the background ───────────────────────────────────────────────────────────────────

    def _work(self):
        soonest, trouble = 0.0, None
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._closed or self._asked > self._done)
                self._turn.wait_for(lambda: self._closed or self._hurry, max(0.0, soonest - time.monotonic()))
                if self._closed:
                    return
                asked, everything = self._asked, self._hurry
            soonest = time.monotonic() + PACE
            try:
                more, trouble, failed = self._uploader.upload(everything), None, None
            except BaseException as error:  # whatever it is, the thread that trains waits to be told
                more, trouble, failed = True, trouble or time.monotonic(), error
            with self._turn:
                if isinstance(failed, Unreachable) and time.monotonic() - trouble < PATIENCE:
                    self._turn.wait_for(lambda: self._closed, PACE / 4)
                    continue
                self._failed, self._done = failed, self._done if failed else asked
                self._hurry = self._asked > asked and self._hurry
                self._asked += more
                self._turn.notify_all()
                if failed:
                    return


def _run(objects, whole):
    """Those of a bucket's objects {name: Object} that are a run's files: loose ones, and whole checkpoints."""
    loose = {
        n: found for n, found in objects.items() if commit_markers.step_of(n) is None and not download.is_hidden(n)
    }
    names = (f"checkpoints/{step}/{name}" for step, listed in whole.items() for name in listed)
    return loose | {name: objects[name] for name in names}


def _name(path):
    """The name that a file holds, made up at first."""
    if not path.exists():
        with files.atomic_write(path) as partial:
            partial.write_text(secrets.token_hex(8))
    return path.read_text()
