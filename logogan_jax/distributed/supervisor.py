"""Runs one process of several that train together under a parent, which says in words how it ended."""

import collections
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from logogan_jax.core import errors
from logogan_jax.core.die_with_parent import die_with_parent
from logogan_jax.core.errors import Unfinished
from logogan_jax.distributed import rendezvous


def run_supervised(work: Callable[[], Any]) -> NoReturn:
    """Run work() in a child process, and exit with its status.

    The calling process must not have started a thread yet. Raises Unfinished if JAX aborted the child.
    """
    # JAX aborts a process whose coordinator is gone, and no handler inside that process can turn this into a message.
    # JAX is not imported yet, so no thread exists that the fork would lose.
    parent = os.getpid()
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        _log_into(writable)
        # os._exit skips the clean-up at exit, which would wait for processes that are gone.
        os._exit(_run_in_child(work, parent))
    os.close(writable)
    logged = collections.deque(maxlen=200)
    reader = threading.Thread(target=_pass_on, args=(readable, logged), daemon=True)
    reader.start()
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, _: os.kill(child, number))
    # A terminal sends Ctrl-C to the child as well, and the child decides what to do with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    reader.join(1)  # a process that the child has started may hold the pipe open
    if status == -signal.SIGABRT:
        raise Unfinished(_explain_abort("".join(logged)))
    # A shell reports a process that a signal has ended as 128 + the signal's number.
    sys.exit(status if status >= 0 else 128 - status)


def _log_into(pipe: int) -> None:
    """Send what libraries write to the standard error stream into a pipe; what Python writes goes where it went."""
    # Only Python asks whether the stream is a terminal. It writes whole lines, because the parent writes there, too.
    stream = sys.stderr
    sys.stderr = os.fdopen(os.dup(stream.fileno()), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
    os.dup2(pipe, 2)
    os.close(pipe)


def _pass_on(pipe: int, logged: collections.deque[str]) -> None:
    """Copy lines from a pipe to the standard error stream, and keep the last ones."""
    with os.fdopen(pipe, encoding="utf-8", errors="backslashreplace") as lines:
        for line in lines:
            logged.append(line)
            sys.stderr.write(line)
            sys.stderr.flush()


def _explain_abort(logged: str) -> str:
    """Say in one line why JAX has aborted the child, from what it has logged."""
    if silent := rendezvous.silent_processes(logged):
        return (
            f"{rendezvous.name_processes(silent)} no longer answers (no sign of life): start the same command again, "
            f"with --num_processes for the machines that are left"
        )
    return (
        "process 0, the coordinator, is gone or cannot be reached (JAX says more above): start the same command again "
        "on the machines that are left"
    )


def _run_in_child(work: Callable[[], Any], parent: int) -> int:
    """Run work() and return the exit status."""
    # JAX says in words why it aborts: Python's dump of all threads would hide it.
    faulthandler.disable()
    status = 0
    try:
        die_with_parent(parent, signal.SIGKILL)
        with errors.exit_on_error():
            work()
    except SystemExit as end:
        status = _exit_status(end.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    # os._exit does not flush what is still in the buffers.
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _exit_status(code: int | str | None) -> int:
    """Translate the argument of sys.exit into an exit status, as Python itself does."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        return 1
    return code or 0
