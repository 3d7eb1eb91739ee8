"""Pixels on disk; other processes decode the next steps while the devices work on this one."""

import concurrent.futures
import functools

import jax
import numpy as np

from logogan_jax.data import decode_pool, sampler
from logogan_jax.data.batch import Batch
from logogan_jax.distributed.data_parallel import BATCH

AHEAD = 2  # feeds placed on the devices before they are asked for


def read_batches(part, *, seed, step, count, shape, same_batch_for=0):
    """The whole Batch [count, draws, B, ...] of steps step, ..., step + count - 1, on the host; shape is (draws, B)."""
    drawn = sampler.batch_indices(
        seed=seed, step=step, count=count, shape=shape, size=len(part), same_batch_for=same_batch_for
    )
    return _batch(drawn, *decode_pool.decode_images(part, drawn.ravel()))


class StreamingSource:
    """Source whose images are read record by record, checksums and all, and sent to the devices.

    A process reads the records of its own devices' rows, and no others.
    """

    specs = BATCH

    def __init__(self, part, parallel, *, seed, needs_pixels, batch_size, same_batch_for=0):
        self._parallel, self._looks, self._decoder = parallel, np.array(needs_pixels), decode_pool.make_decoder(part)
        self._drawn = functools.partial(
            sampler.batch_indices,
            seed=seed,
            shape=(len(needs_pixels), batch_size),
            size=len(part),
            same_batch_for=same_batch_for,
        )
        # One thread asks for feeds and another takes them, so that the processes always have the next ones.
        self._asking = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._taking = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="place-ahead")
        self._pending = {}

    def at(self, step, count):
        """The feed of steps step, ..., step + count - 1, image uint8[count, draws, B, H, W, C]."""
        feed = self._pending.pop((step, count), None) or self._ahead(step, count)
        wanted = [(step + n * count, count) for n in range(1, AHEAD + 1)]
        self._pending = {address: self._pending.get(address) or self._ahead(*address) for address in wanted}
        return feed.result()

    def _ahead(self, step, count):
        return self._taking.submit(self._take, self._asking.submit(self._ask, step, count))

    def _ask(self, step, count):
        drawn = self._drawn(step=step, count=count)[..., self._parallel.process_rows]
        needs_pixels = np.broadcast_to(self._looks[:, None], drawn.shape)
        return drawn, self._decoder.submit(drawn.ravel(), needs_pixels.ravel())

    def _take(self, asked):
        drawn, future = asked.result()
        return self._parallel.device_put(_batch(drawn, *self._decoder.result(future)), BATCH)

    @staticmethod
    def batch(feed, i):
        """The batch of the feed's step i, inside the program and on one replica."""
        return jax.tree.map(lambda x: x[i], feed)

    def close(self):
        """Stop reading ahead."""
        for thread in (self._asking, self._taking):
            thread.shutdown(wait=True, cancel_futures=True)
        self._decoder.close()


def _batch(drawn, image, label):
    return Batch(image.reshape(*drawn.shape, *image.shape[1:]), label.reshape(drawn.shape), drawn)
