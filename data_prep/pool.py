"""The same function over many items, by all cores, in order, with a worker's death as an outcome.

Pictures from the open web may crash, swallow all memory or never end. Each worker process has a limit
of memory, and each item one of time; whatever goes beyond them costs its worker, not the run.
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
from typing import NamedTuple

import pebble

CHUNK = 32  # items that a worker takes at a time
SECONDS = 60.0  # that one item may take
MEMORY = 4 << 30  # bytes of address space that a worker may have
_LEAVING = 2.0  # seconds that stopping the workers may take
_AHEAD = 4  # chunks per worker that are handed out before their turn


class Failed(NamedTuple):
    """What comes instead of a result when a worker died or was stopped."""

    reason: str


@contextlib.contextmanager
def map_ordered(function, items, workers=None, seconds=SECONDS):
    """Iterator of function(item), or Failed, in the order of an iterable of items, which is read a little ahead.

    One process per core, or as many as asked for; 0 works in this process, for items that are known to be good.
    """
    if workers == 0:
        yield map(function, items)
        return
    count = workers or os.cpu_count()
    # Spawned, not forked: the parent may hold threads. Workers import only what the function needs.
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    pool = pebble.ProcessPool(count, context=context, initializer=_begin)
    try:
        yield _results(pool, function, iter(items), count, seconds)
        pool.close()  # done: the workers leave by themselves
        pool.join()
    except BaseException:
        pool.stop()
        # Ctrl-C may have come amid the pool's own queue, which then waits for what never comes: wait a little only.
        joining = threading.Thread(target=pool.join, daemon=True)
        joining.start()
        joining.join(_LEAVING)
        raise
    finally:
        # One that was only being started when the pool stopped would miss what it is to share with it.
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
            child.join()


def _results(pool, function, items, workers, seconds):
    waiting = collections.deque()
    while True:
        while len(waiting) < workers * _AHEAD and (chunk := list(itertools.islice(items, CHUNK))):
            waiting.append((chunk, pool.schedule(_several, args=(function, chunk), timeout=2 * seconds)))
        if not waiting:
            return
        chunk, future = waiting.popleft()
        try:
            yield from future.result()
        except (pebble.ProcessExpired, concurrent.futures.TimeoutError, MemoryError):
            # One of them did it. Alone, each shows whether it was the one.
            yield from (_alone(pool, function, item, seconds) for item in chunk)


def _alone(pool, function, item, seconds):
    try:
        return pool.schedule(_several, args=(function, [item]), timeout=seconds).result()[0]
    except concurrent.futures.TimeoutError:
        return Failed(f"not done after {seconds:g} seconds")
    except (pebble.ProcessExpired, MemoryError):
        return Failed(f"its reader crashed or needed more than {MEMORY >> 30} GiB")


def _several(function, chunk):
    return [function(item) for item in chunk]


def _begin():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    with contextlib.suppress(ValueError, OSError):  # not every system limits it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
