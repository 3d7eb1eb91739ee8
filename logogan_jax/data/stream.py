"""Pixels on disk; a thread reads the next steps while the devices work on this one."""

import concurrent.futures
import functools

import jax

from logogan_jax.data import order
from logogan_jax.data.batch import Batch
from logogan_jax.data.shards import readers
from logogan_jax.parallel import ROWS

AHEAD = 2  # feeds read before they are asked for


def read(shards, threads, *, seed, step, count, shape, same_batch_for=0):
    """The Batch [count, draws, B, ...] of steps step, ..., step + count - 1, on the host; shape is (draws, B)."""
    drawn = order.dispatch(
        seed=seed, step=step, count=count, shape=shape, size=len(shards), same_batch_for=same_batch_for
    )
    image, label = shards.images(drawn.reshape(-1), threads)
    return Batch(image.reshape(*drawn.shape, *shards.shape), label.reshape(drawn.shape), drawn)


class Stream:
    """Source whose images are read record by record, checksums and all, and sent to the devices."""

    specs = ROWS

    def __init__(self, shards, parallel, *, seed, draws, batch_size, same_batch_for=0):
        self._parallel, self._readers = parallel, readers()
        self._batches = functools.partial(
            read, shards, self._readers, seed=seed, shape=(draws, batch_size), same_batch_for=same_batch_for
        )
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._pending = {}

    def at(self, step, count):
        """The feed of steps step, ..., step + count - 1, image uint8[count, draws, B, H, W, C]."""
        feed = self._pending.pop((step, count), None) or self._reader.submit(self._read, step, count)
        wanted = [(step + n * count, count) for n in range(1, AHEAD + 1)]
        self._pending = {
            address: self._pending.get(address) or self._reader.submit(self._read, *address) for address in wanted
        }
        return feed.result()

    def _read(self, step, count):
        return self._parallel.place(self._batches(step=step, count=count), ROWS)

    @staticmethod
    def batch(feed, i):
        """The batch of the feed's step i, inside the program and on one replica."""
        return jax.tree.map(lambda x: x[i], feed)

    def close(self):
        """Stop reading ahead."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._readers.shutdown(wait=True, cancel_futures=True)
