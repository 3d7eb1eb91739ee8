"""The one kind of error that a user can mend, and how a command ends with it."""

import contextlib
import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from logogan_jax.core import streams

# What a file system will answer again to the same command, unless the user changes something.
_LASTING = {
    getattr(errno, name)
    for name in (
        "EACCES", "EEXIST", "EFBIG", "EINVAL", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENODEV", "ENOENT", "ENOSYS",
        "ENOTDIR", "ENOTEMPTY", "ENOTSUP", "ENXIO", "EOPNOTSUPP", "EPERM", "EROFS",
    )
}  # fmt: skip

_OUT_OF_MEMORY = re.compile(r"RESOURCE_EXHAUSTED|out[ _]of[ _]memory|ALLOC_FAILED|bad_alloc", re.IGNORECASE)


_OUTLOOK = ": the same command goes on where this one was"


class UserError(Exception):
    """An error that the user can mend; its text is one line: which key or file, its value, what to write instead."""

    status = 2  # of the command that ends with it
    keeps_work = False  # whether an unfinished folder stays, so that the same command goes on there


class Diverged(UserError):
    """Training itself has failed; the same command would fail again."""

    status = 3


class Unfinished(UserError):
    """Nobody's mistake; the same command goes on from the newest checkpoint."""

    status = 75  # EX_TEMPFAIL of sysexits.h: try again


class StoppedAtOnce(KeyboardInterrupt):
    """A second Ctrl-C, after which nothing is saved."""

    outlook = " at once, and nothing was saved: the same command goes on from the newest checkpoint, if there is one"


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """End the program with one line on stderr if the block raises an error that the user can mend.

    The status is that of a UserError; 2 for a full disk, for too little memory, and for a file or folder that cannot
    be used; 130 for Ctrl-C, 143 for SIGTERM, whatever error came of it. Other errors keep their traceback.
    """
    streams.outlast_readers()
    try:
        with _terminable():
            _check_working_folder()
            yield
    except (Exception, KeyboardInterrupt) as error:
        if stop := interruption(error):
            print(f"stopped{getattr(stop, 'outlook', _OUTLOOK)}", file=sys.stderr, flush=True)
            sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
        if isinstance(error, UserError):
            sys.exit(_fail(error, error.status))
        line = _describe(error)
        if not line:
            raise
        sys.exit(_fail(line))


def interruption(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the request to stop that an error is, or from which the error came.

    A signal may come inside a lock or in the clean-up of a library, which then raises an error of its own. Python keeps
    the KeyboardInterrupt as the context of that error.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory of the host or of a device was not enough."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # JAX has no error class of its own for this: the words of XLA and of CUDA have to do.
    by_device = isinstance(error, (RuntimeError, ValueError)) and _OUT_OF_MEMORY.search(str(error))
    return isinstance(error, MemoryError) or (bool(by_device) and "No space left" not in str(error))


def _describe(error: BaseException) -> str | None:
    """Return one line about an error outside of the program that the user can mend, or None for any other error."""
    if is_out_of_memory(error):
        return "the memory is full: use smaller or fewer images, end other programs, or take a larger machine"
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of pathlib's expanduser
        return "a path with ~ names a home folder that is not known here: write the whole path"
    if isinstance(error, UnicodeEncodeError) and "surrogate" in error.reason:  # of bytes that a user gave as text
        return f"{error.object[:200]!a} has bytes that are no text in UTF-8: write it in UTF-8, or rename it"
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return f"the disk is full{where}: free some space and run the same command again"
    if error.errno in _LASTING and error.filename is not None:
        name = error.filename if error.filename2 is None else error.filename2
        path = os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else name
        return f"{path} cannot be used ({error.strerror}): check the path and who may read and write there"
    return None


def _check_working_folder() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the folder in which this command was started is gone: cd to one that exists") from None


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt like Ctrl-C: processes are ended, half-written files removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    # nohup has SIGHUP ignored.
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(message: object, status: int = 2) -> int:
    # One line, whatever a path or a library's words contain.
    print("error:", " ".join(str(message).splitlines()), file=sys.stderr, flush=True)
    return status
