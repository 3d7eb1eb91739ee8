"""Becomes the command that follows a process id, and gets SIGTERM when that process ends, however it ends."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux; elsewhere a run whose study was killed goes on to its end, and is then taken over

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(128 + signal.SIGTERM)
    os.execv(sys.argv[2], sys.argv[2:])
