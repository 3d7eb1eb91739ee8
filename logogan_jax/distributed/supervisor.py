"""A process of several that train together, watched over by its parent, which says how it ended."""

import ctypes
import faulthandler
import os
import signal
import sys
import traceback

from logogan_jax.core import errors
from logogan_jax.core.errors import Unfinished

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def run_supervised(work):
    """Run work() in a child of this process, which must have no threads yet, and leave with its status.

    JAX ends a process on the spot when its coordinator is gone, which no handler of its own can put in words.
    """
    child = os.fork()
    if child == 0:
        os._exit(_child(work))
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells the child by itself
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGABRT:
        raise Unfinished(
            "process 0, which the others meet at, is gone or cannot be reached (JAX says more above): start the same "
            "command again on the machines that are left"
        )
    sys.exit(status if status >= 0 else 128 - status)


def _child(work):
    """The status of work(); without the clean-up at exit, which would wait for processes that are gone."""
    faulthandler.disable()  # JAX says in words why it aborts
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    status = 0
    try:
        with errors.exit_on_error():
            work()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status
