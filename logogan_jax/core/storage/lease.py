"""One writer at a time in a bucket's folder: a small object that its holder renews while it lives."""

import contextlib
import json
import secrets
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.object_store import Bucket

if TYPE_CHECKING:
    from obstore import UpdateVersion

NAME = ".lease"
TIMEOUT = 120.0  # seconds without a renewal, after which a lease has lapsed
RENEW_EVERY = 20.0  # seconds
POLL_EVERY = 5.0  # seconds, while another holds the lease


class Entry(NamedTuple):
    """The content of the object: who holds the lease, and how often it was renewed."""

    writer: str  # outlives the process: a folder of one machine
    process: str  # of one Lease only
    host: str
    beats: int
    released: bool


class Lease:
    """The right to write to a Bucket.

    Every write of the lease names the version of the object that it replaces, and the object store refuses it if
    another has written since. So of several that take over a lapsed lease at once exactly one gets it, and a holder
    that was replaced cannot renew. Who finds another's lease waits until it is released or has not been renewed for
    TIMEOUT by the waiter's own clock, and gives up if it goes on being renewed.
    """

    def __init__(self, bucket: Bucket, writer: str):
        self.writer = writer
        self._bucket = bucket
        self._process = secrets.token_hex(8)
        self._beats = 0
        self._version: UpdateVersion | None = None  # of the object as it was last read or written here
        self._renewed = 0.0  # time of the last renewal that the store has accepted
        self._lost = ""  # why the lease is another's, once it is
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    def last_writer(self) -> str | None:
        """Return the name of the last writer, or None."""
        entry = self._read()
        return entry.writer if entry else None

    def acquire(self) -> str | None:
        """Become the writer, and stay it until `release`. Returns the name of the writer before, or None.

        Raises a UserError that names a host that goes on writing.
        """
        while True:
            entry = self._wait_until_free()
            started = time.monotonic()
            if self._write():
                break
        self._renewed = started
        self._thread = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)
        self._thread.start()
        return entry.writer if entry else None

    def confirm(self) -> None:
        """Raise a UserError unless it is certain that no other has become the writer."""
        if time.monotonic() - self._renewed > TIMEOUT / 2:
            self._renew()
        if self._lost:
            raise UserError(self._lost)

    def release(self) -> None:
        """Let another be the writer, who need not wait."""
        if self._thread is None:
            return
        self._released.set()
        self._thread.join()
        self._thread = None
        with contextlib.suppress(UserError):  # then it lapses
            self._renew(released=True)

    # ── taking over ─────────────────────────────────────────────────────────────────────────

    def _wait_until_free(self) -> Entry | None:
        """Return the entry that may be replaced, or None if there is none."""
        entry = self._read()
        if entry is None or self._is_free(entry):
            return entry
        host = entry.host
        print(
            f"{self._bucket} was left by {host} without a word, or is written to by it: "
            f"waiting up to {TIMEOUT:.0f} s to see",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        began = changed = time.monotonic()
        while entry and not self._is_free(entry):
            time.sleep(POLL_EVERY)
            before = entry
            entry = self._read()
            now = time.monotonic()
            if entry != before:
                changed = now
            if now - changed >= TIMEOUT:
                break
            # One that was just told to end needs as long as its notice; one that is dead is silent.
            if now - began > 1.5 * TIMEOUT and now - changed < 2 * RENEW_EVERY:
                raise UserError(f"{host} is training in {self._bucket}: stop it, or choose another --workdir")
        return entry

    def _is_free(self, entry: Entry) -> bool:
        """Return whether an entry was released, or is that of an earlier process of this same writer."""
        return entry.released or (entry.writer == self.writer and entry.host == socket.gethostname())

    # ── renewing ────────────────────────────────────────────────────────────────────────────

    def _keep_renewing(self) -> None:
        while not self._released.wait(RENEW_EVERY) and not self._lost:
            with contextlib.suppress(UserError):  # should it last, `confirm` raises it
                self._renew()

    def _renew(self, released: bool = False) -> None:
        with self._lock:
            started = time.monotonic()
            if not self._lost and self._write(released):
                self._renewed = started

    def _write(self, released: bool = False) -> bool:
        """Write an entry in place of the one that was last read or written here. Returns whether it took its place."""
        self._beats += 1
        mine = Entry(self.writer, self._process, socket.gethostname(), self._beats, released)
        now = None
        for _ in range(2):
            version = self._bucket.write_if(NAME, json.dumps(mine._asdict()).encode(), self._version)
            if version is not None:
                self._version = version
                return True
            now = self._read()
            if now is None or now.process != self._process:
                break
            # An earlier write of this process has arrived, although its answer was lost: replace that one.
        holder = f"{now.host} trains there" if now else f"its {NAME} has been removed"
        if self._thread:
            self._lost = f"{self._bucket} is not this run's any more: {holder}; this one has stopped writing to it"
        return False

    def _read(self) -> Entry | None:
        try:
            content, self._version = self._bucket.read_version(NAME)
            entry = json.loads(content)
            return Entry(**{key: entry[key] for key in Entry._fields})
        except FileNotFoundError:
            self._version = None
            return None
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{self._bucket}/{NAME} is not what a run writes there: remove it") from None
