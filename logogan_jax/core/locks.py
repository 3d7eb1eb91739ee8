"""Locks on files, which end with the process that holds them, however it ends.

Some network and FUSE file systems have no locks. There, a warning is printed once and the work goes on unlocked: a
lock only keeps a second process of the same user out.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TextIO

_warned: set[str] = set()  # folders without locks


def try_lock(path: str | os.PathLike, *, shared: bool = False) -> TextIO | None:
    """Take a lock on a file. Returns the open file that holds it, or None if another process has it.

    The lock lasts until the file is closed or the process ends.
    """
    file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - held by the caller
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    if _flock(file, how | fcntl.LOCK_NB):
        return file
    file.close()
    return None


def wait_for_lock(path: str | os.PathLike, *, message: str = "") -> TextIO:
    """Take a lock on a file, and wait while another process has it. Returns the open file that holds it.

    `message` is printed on stderr if it has to wait.
    """
    file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - held by the caller
    if not _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
        if message:
            print(message, file=sys.stderr, flush=True)
        _flock(file, fcntl.LOCK_EX)
    return file


@contextlib.contextmanager
def hold_lock(path: str | os.PathLike) -> Iterator[None]:
    """Hold a lock on a file until the block ends; waits while another process holds it."""
    with wait_for_lock(path):
        yield


def _flock(file: TextIO, how: int) -> bool:
    """Lock an open file. Returns False if another process has the lock; warns where there are no locks."""
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
            return False
        folder = str(pathlib.Path(file.name).parent)
        if folder not in _warned:
            _warned.add(folder)
            print(
                f"warning: {folder} has no file locks ({error.strerror}): let only one command at a time work there",
                file=sys.stderr,
                flush=True,
            )
    return True


def is_locked(path: str | os.PathLike) -> bool:
    """Return whether a process of this machine holds a lock on a file, without ever being in its way.

    Linux lists its locks. Elsewhere a shared lock is taken for a moment.
    """
    try:
        found = os.stat(path)
        with open("/proc/locks", encoding="utf-8") as listed:
            # 1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234567 0 EOF, where the inode is the last of three numbers
            return any(line.split()[5].rpartition(":")[2] == str(found.st_ino) for line in listed if "->" not in line)
    except FileNotFoundError:
        if not os.path.exists(path):
            return False
    except OSError:
        return False
    lock = try_lock(path, shared=True)
    if lock is None:
        return True
    lock.close()
    return False
