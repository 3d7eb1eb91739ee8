"""Runs one process of several that train together under a parent, which says in words how it ended."""

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from logogan_jax.core import errors
from logogan_jax.core.die_with_parent import die_with_parent
from logogan_jax.core.errors import Unfinished


def run_supervised(work: Callable[[], Any]) -> NoReturn:
    """Run work() in a child process, and exit with its status.

    The calling process must not have started a thread yet. Raises Unfinished if JAX aborted the child.
    """
    # JAX aborts a process whose coordinator is gone, and no handler inside that process can turn this into a message.
    # JAX is not imported yet, so no thread exists that the fork would lose.
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        # os._exit skips the clean-up at exit, which would wait for processes that are gone.
        os._exit(_run_in_child(work, parent))
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, _: os.kill(child, number))
    # A terminal sends Ctrl-C to the child as well, and the child decides what to do with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGABRT:
        raise Unfinished(
            "process 0, the coordinator, is gone or cannot be reached (JAX says more above): start the same command "
            "again on the machines that are left"
        )
    # A shell reports a process that a signal has ended as 128 + the signal's number.
    sys.exit(status if status >= 0 else 128 - status)


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
