"""The same function over many items, by all cores, in order."""

import concurrent.futures
import contextlib
import multiprocessing
import os

CHUNK = 32  # items that a process takes at a time


@contextlib.contextmanager
def ordered(function, items, workers=None):
    """Iterator of function(item) in the order of a list of items, by one process per core or as many as asked for."""
    workers = min(workers or os.cpu_count(), -(-len(items) // CHUNK))
    if workers <= 1:
        yield map(function, items)
        return
    # Spawned, not forked: the parent may hold threads. Workers import only what the function needs.
    pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool.map(function, items, chunksize=CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)
