"""Images on disk: other processes decode the batches of the next steps while the devices work on this one."""

import concurrent.futures
import functools
from typing import Any

import jax
import numpy as np

from logogan_jax.data import decode_pool, sampler
from logogan_jax.data.batch import Batch
from logogan_jax.distributed.data_parallel import BATCH, DataParallel

FEEDS_AHEAD = 2  # feeds that are on the devices before they are asked for


def read_batches(
    dataset: decode_pool.Images, *, seed: int, step: int, count: int, shape: tuple[int, int], same_batch_for: int = 0
) -> Batch:
    """The global Batch [count, draws, B, ...] of `count` steps from `step` on, as NumPy arrays; shape is (draws, B)."""
    indices = sampler.batch_indices(
        seed=seed, step=step, count=count, shape=shape, size=len(dataset), same_batch_for=same_batch_for
    )
    return _to_batch(indices, *decode_pool.decode_images(dataset, indices.ravel()))


class StreamingSource:
    """Source whose images are read from the records, with their checksums, and sent to the devices.

    Each of several hosts reads only the records of its own devices' rows.
    """

    specs = BATCH

    def __init__(
        self, dataset: decode_pool.Images, parallel: DataParallel, *, seed: int, needs_pixels: tuple[bool, ...],
        batch_size: int, same_batch_for: int = 0,
    ):  # fmt: skip
        """`needs_pixels` says for each draw of a step whether its player uses real images; others are not decoded."""
        self._parallel = parallel
        self._needs_pixels = np.array(needs_pixels)
        self._decoder = decode_pool.make_decoder(dataset)
        shape = (len(needs_pixels), batch_size)
        self._indices = functools.partial(
            sampler.batch_indices, seed=seed, shape=shape, size=len(dataset), same_batch_for=same_batch_for
        )
        # One thread submits feeds and another waits for them, so that the decoders always know the next ones.
        self._submitting = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._placing = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="place-ahead")
        self._pending: dict[tuple[int, int], concurrent.futures.Future[Batch]] = {}

    def at(self, step: int, count: int) -> Batch:
        """The feed of `count` consecutive steps from `step` on, image uint8[count, draws, B, H, W, C]."""
        feed = self._pending.pop((step, count), None) or self._start(step, count)
        upcoming = [(step + n * count, count) for n in range(1, FEEDS_AHEAD + 1)]
        self._pending = {key: self._pending.get(key) or self._start(*key) for key in upcoming}
        return feed.result()

    def _start(self, step: int, count: int) -> concurrent.futures.Future[Batch]:
        return self._placing.submit(self._place, self._submitting.submit(self._submit, step, count))

    def _submit(self, step: int, count: int) -> tuple[np.ndarray, Any]:
        indices = self._indices(step=step, count=count)[..., self._parallel.process_rows]
        needs_pixels = np.broadcast_to(self._needs_pixels[:, None], indices.shape)
        return indices, self._decoder.submit(indices.ravel(), needs_pixels.ravel())

    def _place(self, submitted: concurrent.futures.Future[tuple[np.ndarray, Any]]) -> Batch:
        indices, future = submitted.result()
        return self._parallel.device_put(_to_batch(indices, *self._decoder.result(future)), BATCH)

    @staticmethod
    def batch(feed: Batch, i: int | jax.Array) -> Batch:
        """The batch of the feed's step i, inside the compiled program and on one replica."""
        return jax.tree.map(lambda x: x[i], feed)

    def close(self) -> None:
        """Stop reading ahead."""
        for executor in (self._submitting, self._placing):
            executor.shutdown(wait=True, cancel_futures=True)
        self._decoder.close()


def _to_batch(indices: np.ndarray, pixels: np.ndarray, labels: np.ndarray) -> Batch:
    return Batch(pixels.reshape(*indices.shape, *pixels.shape[1:]), labels.reshape(indices.shape), indices)
