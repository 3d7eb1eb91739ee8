"""End a process when its parent ends, however the parent ends, even by SIGKILL.

As a program, `die_with_parent.py PARENT COMMAND ...` becomes the command, which gets SIGTERM when its parent ends. It
imports nothing outside the standard library, so that the command starts at once.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of prctl(2)


def die_with_parent(parent: int, number: int) -> None:
    """Have Linux send signal `number` to this process when its parent ends.

    `parent` is the process id of the parent. Raises SystemExit if the parent has ended already. On other systems
    a process whose parent was killed goes on to its end.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    # A parent that ended before the call above sends no signal any more.
    if os.getppid() != parent:
        sys.exit(128 + number)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGTERM)
    os.execv(sys.argv[2], sys.argv[2:])
