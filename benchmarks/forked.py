"""Calls in forked processes: how each ended, within a limit of time, and what it said."""

import os
import pathlib
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

GOOD = (0, 2, 3, 75)  # statuses of a command that ends in an orderly way


class Ending(NamedTuple):
    """How a command ended: "ok", or what is wrong."""

    kind: str
    status: int
    seconds: float
    said: str


class Process:
    """A call work() in a forked child in its own process group, in a folder, which ends after `limit` seconds."""

    def __init__(self, work: Callable[[], int | None], folder: pathlib.Path, limit: float):
        self._log = folder.parent / f"{folder.name}.log"
        self._began = time.monotonic()
        self._limit = limit
        self._child = os.fork()
        if self._child == 0:
            os._exit(_in_child(work, folder, self._log))

    def ending(self) -> Ending | None:
        """Return how the child ended, or None while it runs."""
        ended, code = os.waitpid(self._child, os.WNOHANG)
        seconds = time.monotonic() - self._began
        if not ended and seconds < self._limit:
            return None
        if not ended:
            os.killpg(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        said = self._log.read_text(errors="replace", encoding="utf-8") if self._log.exists() else ""
        status = os.waitstatus_to_exitcode(code) if ended else -signal.SIGKILL
        return Ending(_judge(status, said) if ended else "slow", status, seconds, said)


def _judge(status: int, said: str) -> str:
    if "Traceback" in said:
        return "traceback"
    if status not in GOOD:
        return "status"
    return "ok" if status != 2 or "error: " in (said.strip().splitlines() or [""])[-1] else "no line"


def _in_child(work: Callable[[], int | None], folder: pathlib.Path, log: pathlib.Path) -> int:
    os.setsid()
    os.chdir(folder)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(out, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        return work() or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
