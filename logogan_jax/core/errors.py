"""The one kind of error that a user can mend, and how a command ends with it."""

import contextlib
import errno
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


class UserError(Exception):
    """An error that the user can mend; its text is one line: which key or file, its value, what to write instead."""

    status = 2  # of the command that ends with it


class Diverged(UserError):
    """Training itself has failed; the same command would fail again."""

    status = 3


class Unfinished(UserError):
    """Nobody's mistake; the same command goes on from the newest checkpoint."""

    status = 75  # EX_TEMPFAIL of sysexits.h: try again


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """End the program with one line on stderr if the block raises an error that the user can mend.

    The status is that of a UserError, 2 for a full disk, 130 for Ctrl-C, 143 for SIGTERM. Other errors keep their
    traceback.
    """
    try:
        with _terminable():
            yield
    except UserError as error:
        sys.exit(_fail(error, error.status))
    except KeyboardInterrupt as error:
        print("stopped: the same command goes on where this one was", file=sys.stderr, flush=True)
        sys.exit(128 + (error.args[0] if error.args else signal.SIGINT))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        sys.exit(_fail(f"the disk is full{where}: free some space and run the same command again"))


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt like Ctrl-C, so that processes are ended and half-written files removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(message: object, status: int = 2) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return status
