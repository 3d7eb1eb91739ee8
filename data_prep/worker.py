"""A process of the pool, started as a command: it imports what it computes, and never the program that wants it.

A script may call our tools without a main guard, because nothing here runs the script again.
"""

import contextlib
import importlib
import io
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

# A library that starts a thread for each core takes 64 MB of address space or more for it, and the cores are taken.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "OPJ_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}
_COMMAND = "import sys; sys.path[:] = sys.argv[2:]; from data_prep import worker; worker.run(int(sys.argv[1]))"


def command_line(file: int) -> list[str]:
    """The command that starts a worker, which talks by a file descriptor."""
    return [sys.executable, "-c", _COMMAND, str(file), *sys.path]


def run(file: int) -> None:
    """Answer messages until the other end closes.

    The first is pickle.dumps((main module's name, pickle.dumps(function), memory in bytes, seconds)); the answer is
    None or the exception that stopped the start. Each other one is a pickled list of items, and the answer the list of
    results, or an exception.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    connection = Connection(file)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        main, pickled, memory, seconds = pickle.loads(connection.recv_bytes())
        load = lambda data: _Unpickler(data, main).load()
        try:
            function = load(pickled)
            _prepare(memory)
        except Exception as error:
            connection.send(error)
            return
        connection.send(None)
        while True:
            items = load(connection.recv_bytes())
            signal.alarm(seconds)  # ends this process if its parent is gone and cannot do it
            answer = _answer(function, items)
            signal.alarm(0)
            connection.send_bytes(answer)
    os._exit(0)


def _prepare(memory: int) -> None:
    """Limit the address space, now that the libraries have taken theirs, to `memory` bytes more than that."""
    import numpy  # noqa: F401 - imported later, it would take its own memory from the pictures
    from PIL import AvifImagePlugin

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    with contextlib.suppress(ValueError, OSError):  # not every system can limit the address space
        resource.setrlimit(resource.RLIMIT_AS, (min([memory + _address_space(), *limits]), hard))


def _address_space() -> int:
    """Bytes of address space that this process has, or 0 where the system does not say it."""
    try:
        with open("/proc/self/statm", encoding="utf-8") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _answer(function: Callable[[Any], Any], items: list[Any]) -> bytes:
    try:
        return pickle.dumps([function(item) for item in items])
    except Exception as error:  # the parent raises it, or looks which item is to blame
        return pickle.dumps(error)


class _Unpickler(pickle.Unpickler):
    """Finds what the parent's main module defines, a tool started by python -m, under the tool's own name."""

    def __init__(self, data: bytes, main: str):
        super().__init__(io.BytesIO(data))
        self._main = main

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Return a class or function by the names of its module and its own."""
        if module_name == "__main__":
            importlib.import_module(self._main)
        return super().find_class(self._main if module_name == "__main__" else module_name, global_name)
