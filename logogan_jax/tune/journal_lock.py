"""The lock of Optuna's journal, which ends with the process that holds it, however it ends."""

import os
from typing import BinaryIO, TextIO

from logogan_jax.core import locks


class JournalLock:
    """Lets one process at a time append to Optuna's journal, and removes a line that a killed one left incomplete.

    It has the two methods that Optuna calls on a lock, whose base class is not public.
    """

    def __init__(self, journal: str):
        self._journal = journal
        self._file: TextIO | None = None

    def acquire(self) -> bool:
        """Wait until no other process appends, then return True."""
        self._file = locks.wait_for_lock(f"{self._journal}.lock")
        with open(self._journal, "rb+") as journal:
            if _is_torn(journal):
                journal.truncate(journal.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Let other processes append."""
        if self._file:
            self._file.close()


def _is_torn(journal: BinaryIO) -> bool:
    """Return whether the last line has no end; the journal is left at its beginning."""
    size = journal.seek(0, os.SEEK_END)
    journal.seek(max(size - 1, 0))
    last = journal.read(1)
    journal.seek(0)
    return last not in (b"", b"\n")
