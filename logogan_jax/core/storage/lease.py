"""One writer at a time in a bucket's folder: a small object that its holder renews while it lives."""

import contextlib
import json
import secrets
import socket
import sys
import threading
import time

from logogan_jax.core.errors import UserError

NAME = ".lease"
SECONDS = 120.0  # without a renewal, after which a lease has lapsed
BEAT = 20.0  # seconds between renewals
LOOK = 5.0  # seconds between looks at another's lease
SETTLE = 2.0  # seconds after which two that take a lapsed lease at once see whose it is


class Lease:
    """The right to write to a Bucket, of the writer of a name that outlives the process.

    Object stores know no lock. Who finds another's lease waits until it is given back or has not been renewed for
    SECONDS by the waiter's own clock, and gives up if it goes on being renewed; a holder that finds itself replaced,
    or cannot renew, stops writing.
    """

    def __init__(self, bucket, writer):
        self._bucket, self.writer, self._process = bucket, writer, secrets.token_hex(8)
        self._beats, self._renewed, self._lost, self._turn = 0, 0.0, "", threading.Lock()
        self._over = threading.Event()
        self._thread = None

    def last_writer(self):
        """The name of the last writer, or None."""
        found = self._read()
        return found and found["writer"]

    def acquire(self):
        """Become the writer and stay it until `release` -> the name of the writer before, or None.

        A UserError names a host that goes on writing.
        """
        found = self._read()
        if found and not self._free(found):
            found = self._wait(found)
        if not (found or self._bucket.create(NAME, self._text())):
            return self.acquire()  # another was quicker
        if found:
            self._renewed = time.monotonic()
            self._bucket.write(NAME, self._text())
            if found["writer"] != self.writer:
                time.sleep(SETTLE)
        self._renewed = time.monotonic()
        if (self._read() or {}).get("process") != self._process:
            return self.acquire()
        self._thread = threading.Thread(target=self._renew_again_and_again, name="lease", daemon=True)
        self._thread.start()
        return found and found["writer"]

    def confirm(self):
        """Raise a UserError unless nobody else can have become the writer."""
        if time.monotonic() - self._renewed > SECONDS / 2:
            self._renew()
        if self._lost:
            raise UserError(self._lost)

    def release(self):
        """Let another be the writer, who need not wait."""
        if self._thread is None:
            return
        self._over.set()
        self._thread.join()
        self._thread = None
        with contextlib.suppress(UserError):  # then it lapses
            self._renew(released=True)

    def _free(self, found):
        """Whether a lease was given back, or held by an earlier process of this same writer."""
        return found["released"] or (found["writer"] == self.writer and found["host"] == socket.gethostname())

    def _wait(self, found):
        """Wait until another's lease is free or has lapsed -> the lease, or None if it has gone."""
        host, where = found["host"], self._bucket
        print(
            f"{where} was left by {host} without a word, or is written to by it: waiting up to {SECONDS:.0f} s to see",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        began = changed = time.monotonic()
        while found and not self._free(found):
            time.sleep(LOOK)
            before, found, now = found, self._read(), time.monotonic()
            changed = changed if found == before else now
            if now - changed >= SECONDS:
                break
            # One that was just told to end needs as long as its notice; one that is dead is silent.
            if now - began > 1.5 * SECONDS and now - changed < 2 * BEAT:
                raise UserError(f"{host} is training in {where}: stop it, or choose another --workdir")
        return found

    def _renew_again_and_again(self):
        while not self._over.wait(BEAT) and not self._lost:
            with contextlib.suppress(UserError):  # `confirm` tells, should it last
                self._renew()

    def _renew(self, released=False):
        with self._turn:
            now, found = time.monotonic(), self._read()
            if found is None or found["process"] != self._process:
                now_by = f"{found['host']} trains there" if found else f"its {NAME} has been removed"
                self._lost = f"{self._bucket} is not this run's any more: {now_by}; this one has stopped writing to it"
                return
            self._beats += 1
            self._bucket.write(NAME, self._text(released))
            self._renewed = now

    def _read(self):
        try:
            found = json.loads(self._bucket.read(NAME))
            return {key: found[key] for key in ("writer", "process", "host", "beats", "released")}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{self._bucket}/{NAME} is not what a run writes there: remove it") from None

    def _text(self, released=False):
        me = {"writer": self.writer, "process": self._process, "host": socket.gethostname()}
        return json.dumps({**me, "beats": self._beats, "released": released}).encode()
