"""The same function over many items, on all cores, in order; the death of a worker is a result, not an error.

Pictures from the open web may crash their reader, fill the memory or take for ever. So every worker process has a
limit of memory and every item a limit of time. What exceeds them costs its worker, not the run.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pebble

CHUNK = 32  # items that a worker takes at a time
TIMEOUT = 60.0  # seconds that one item may take
MEMORY = 4 << 30  # bytes of address space that a worker may have
_STOP_TIMEOUT = 2.0  # seconds that stopping the workers may take
_CHUNKS_AHEAD = 4  # chunks per worker that are handed out before their results are wanted


class Failed(NamedTuple):
    """The result of an item whose worker died or was stopped."""

    reason: str


@contextlib.contextmanager
def map_ordered(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int | None = None, timeout: float = TIMEOUT
) -> Iterator[Iterator[Any]]:
    """Yield an iterator of function(item), or Failed, in the order of the items, which are read a little ahead.

    There is one process per core unless `workers` says how many. 0 works in this process, without limits, for items
    that are known to be harmless.
    """
    if workers == 0:
        yield map(function, items)
        return
    count = workers or os.cpu_count() or 1
    # Spawned, not forked: this process may have threads. Workers import only what the function needs.
    context = multiprocessing.get_context("spawn")
    earlier_children = set(multiprocessing.active_children())
    pool = pebble.ProcessPool(count, context=context, initializer=_start_worker)
    try:
        yield _results(pool, function, iter(items), count, timeout)
        pool.close()  # everything is done: the workers leave by themselves
        pool.join()
    except BaseException:
        pool.stop()
        # Ctrl-C may have interrupted the pool's own bookkeeping, so that `join` waits for ever: wait only a little.
        joining = threading.Thread(target=pool.join, daemon=True)
        joining.start()
        joining.join(_STOP_TIMEOUT)
        raise
    finally:
        # A worker that was just being started would not have been told to stop.
        for child in set(multiprocessing.active_children()) - earlier_children:
            child.kill()
            child.join()


def _results(
    pool: pebble.ProcessPool, function: Callable[[Any], Any], items: Iterator[Any], workers: int, timeout: float
) -> Iterator[Any]:
    pending: collections.deque = collections.deque()
    while True:
        while len(pending) < workers * _CHUNKS_AHEAD and (chunk := list(itertools.islice(items, CHUNK))):
            pending.append((chunk, pool.schedule(_map_chunk, args=(function, chunk), timeout=2 * timeout)))
        if not pending:
            return
        chunk, future = pending.popleft()
        try:
            yield from future.result()
        except (pebble.ProcessExpired, concurrent.futures.TimeoutError, MemoryError):
            # One item of the chunk is to blame: processed alone, each item shows whether it is the one.
            yield from (_alone(pool, function, item, timeout) for item in chunk)


def _alone(pool: pebble.ProcessPool, function: Callable[[Any], Any], item: Any, timeout: float) -> Any:
    try:
        return pool.schedule(_map_chunk, args=(function, [item]), timeout=timeout).result()[0]
    except concurrent.futures.TimeoutError:
        return Failed(f"not done after {timeout:g} seconds")
    except (pebble.ProcessExpired, MemoryError):
        return Failed(f"its reader crashed or needed more than {MEMORY >> 30} GiB")


def _map_chunk(function: Callable[[Any], Any], chunk: list[Any]) -> list[Any]:
    return [function(item) for item in chunk]


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    with contextlib.suppress(ValueError, OSError):  # not every system can limit the address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
