"""Locks on files, which end with the process that holds them, however it ends."""

import contextlib
import fcntl
import os


@contextlib.contextmanager
def hold_lock(path):
    """Hold a lock until the block ends; waits for another holder."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class JournalLock:
    """Lets one process at a time append to Optuna's journal, and takes away what a killed one left torn."""

    def __init__(self, journal):
        self._journal, self._file = journal, None

    def acquire(self):
        """Wait until nobody else appends."""
        self._file = open(f"{self._journal}.lock", "a")  # noqa: SIM115 - until release
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with open(self._journal, "rb+") as journal:
            content = journal.read() if _torn(journal) else b""
            if content:
                journal.truncate(content.rfind(b"\n") + 1)
        return True

    def release(self):
        """Let others append."""
        self._file.close()


def _torn(journal):
    if journal.seek(0, os.SEEK_END) == 0:
        return False
    journal.seek(-1, os.SEEK_END)
    ends = journal.read(1)
    journal.seek(0)
    return ends != b"\n"
