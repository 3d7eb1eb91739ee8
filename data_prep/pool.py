"""The same function over many items, on all cores, in order; the death of a worker is a result, not an error.

Pictures from the open web may crash their reader, fill the memory or take for ever. So every worker process has a
limit of memory and every item a limit of time. What exceeds them costs its worker, not the run. If the machine itself
is out of memory, that is no picture's fault, and ends the run.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import math
import multiprocessing
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from data_prep import worker
from logogan_jax.core import machine
from logogan_jax.core.errors import UserError

CHUNK = 32  # items that a worker takes at a time
TIMEOUT = 60.0  # seconds that one item may take
MEMORY = 4 << 30  # bytes of address space that a worker may take beside its libraries
MAX_WORKERS = 1024
_MEMORY_OF_WORKER = 256 << 20  # bytes that a worker needs for pictures of usual sizes
_CHUNKS_AHEAD = 4  # chunks per worker that are handed out before their results are wanted
_EXIT_TIMEOUT = 2.0  # seconds in which a worker leaves that has nothing to do


class OutOfMemory(UserError):
    """This machine has too little memory; the same command goes on when there is more."""

    keeps_work = True


class Failed(NamedTuple):
    """The result of an item whose worker died or was stopped."""

    reason: str


def default_workers() -> int:
    """The number of processes that suits this machine: one for each core, as far as the memory allows."""
    memory = machine.available_memory()
    by_memory = machine.available_cores() if memory is None else memory // _MEMORY_OF_WORKER
    return max(1, min(machine.available_cores(), by_memory, MAX_WORKERS))


@contextlib.contextmanager
def map_ordered(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int | None = None, timeout: float = TIMEOUT
) -> Iterator[Iterator[Any]]:
    """Yield an iterator of function(item), or Failed, in the order of the items, which are read a little ahead.

    There are default_workers() processes unless `workers` says how many. 0 works in this process, without limits, for
    items that are known to be harmless. The iterator raises what the function raises, and OutOfMemory if this
    machine has too little memory.
    """
    if workers == 0:
        yield map(function, items)
        return
    count = workers or default_workers()
    processes = _Processes(function, timeout)
    threads = concurrent.futures.ThreadPoolExecutor(count)  # each waits for a process of its own
    try:
        yield _results(threads, processes, iter(items), count)
    finally:
        processes.close()
        threads.shutdown(cancel_futures=True)


def _results(
    threads: concurrent.futures.Executor, processes: "_Processes", items: Iterator[Any], count: int
) -> Iterator[Any]:
    pending: collections.deque = collections.deque()
    while True:
        while len(pending) < count * _CHUNKS_AHEAD and (chunk := list(itertools.islice(items, CHUNK))):
            pending.append(threads.submit(processes.map, chunk))
        if not pending:
            return
        yield from pending.popleft().result()


class _Died(Exception):
    """A worker has ended, with its exit status as subprocess gives it."""

    def __init__(self, status: int):
        super().__init__(f"status {status}")
        self.status = status


class _Processes:
    """Worker processes, one for each thread that calls `map`."""

    def __init__(self, function: Callable[[Any], Any], timeout: float):
        self._timeout = timeout
        self._start_message = pickle.dumps((_main_name(), pickle.dumps(function), MEMORY, math.ceil(2 * timeout) + 10))
        self._of_thread = threading.local()
        self._all: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False

    def map(self, chunk: list[Any]) -> list[Any]:
        """[function(item), or Failed, of each item]."""
        try:
            return self._call(chunk, 2 * self._timeout)
        except (_Died, TimeoutError, MemoryError):
            # One item of the chunk is to blame: processed alone, each item shows whether it is the one.
            return [self._map_alone(item) for item in chunk]

    def close(self) -> None:
        """End the processes: at once those that are at work, the others by themselves."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.end()

    def _map_alone(self, item: Any) -> Any:
        try:
            return self._call([item], self._timeout)[0]
        except TimeoutError:
            return Failed(f"not done after {self._timeout:g} seconds")
        except MemoryError:
            limits = machine.available_memory(), machine.address_space_limit()
            if any(limit is not None and limit < MEMORY for limit in limits):  # less than a picture may take
                raise _out_of_memory(item) from None
        except _Died as error:
            # Nothing but a person and a system without memory kill a process; a limit of ours and a crash do not.
            if error.status == -signal.SIGKILL and not self._closed:
                raise _out_of_memory(item) from None
        return Failed(f"its reader crashed or needed more than {MEMORY >> 30} GiB")

    def _call(self, items: list[Any], timeout: float) -> list[Any]:
        process = getattr(self._of_thread, "process", None) or self._start()
        try:
            return process.call(items, timeout)
        except (_Died, TimeoutError):
            self._of_thread.process = None
            process.end()
            with self._lock:
                self._all.discard(process)
            raise

    def _start(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise concurrent.futures.CancelledError
            process = _Process()
            self._all.add(process)
        process.start(self._start_message)
        self._of_thread.process = process
        return process


class _Process:
    """One worker process."""

    def __init__(self):
        self._connection, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                worker.command_line(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                process_group=0,  # the terminal's Ctrl-C must not reach it: this process decides when to stop
                env={**os.environ, **worker.ENVIRONMENT},
            )  # fmt: skip
        self._busy = False

    def start(self, message: bytes) -> None:
        """Hand over the function; OutOfMemory if the process cannot start in the memory that there is."""
        try:
            error = self._ask(message, TIMEOUT)
        except _Died as died:
            error = died
        except TimeoutError:
            error = _Died(0)
        if isinstance(error, _Died | MemoryError | ImportError | OSError):
            raise OutOfMemory(
                f"a process that reads pictures could not start ({error or type(error).__name__}): if memory is "
                f"limited (ulimit -v, a container), allow more, or use fewer processes (--workers)"
            )
        if error is not None:
            raise error

    def call(self, items: list[Any], timeout: float) -> list[Any]:
        """The results of items; raises the function's exception, TimeoutError or _Died."""
        answer = self._ask(pickle.dumps(items), timeout)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        """End the process, by force if it is at work."""
        if self._busy:
            self._process.kill()
        else:
            self._connection.close()
        try:
            self._process.wait(_EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, message: bytes, timeout: float) -> Any:
        self._busy = True
        try:
            self._connection.send_bytes(message)
            if not self._connection.poll(timeout):
                raise TimeoutError
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            raise _Died(self._process.wait()) from None
        self._busy = False
        return answer


def _out_of_memory(item: Any) -> OutOfMemory:
    name = getattr(item, "name", None) or getattr(item, "path", None) or (item[0] if isinstance(item, tuple) else item)
    return OutOfMemory(
        f"the memory of this machine is not enough for {str(name)[:200]!r}, or other programs take it: free some, "
        f"use fewer processes (--workers), or move the file away, then run the same command again"
    )


def _main_name() -> str:
    """The name by which a worker can import the main module, if that is one of our tools."""
    main = sys.modules["__main__"]
    if main.__spec__:
        return main.__spec__.name
    path = pathlib.Path(getattr(main, "__file__", None) or "-")
    return f"data_prep.{path.stem}" if path.resolve().parent == pathlib.Path(__file__).resolve().parent else "__main__"
