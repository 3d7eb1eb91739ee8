"""All pixels in every device's memory as uint8; a step gathers its own batch."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from logogan_jax.data import decode_pool, sampler
from logogan_jax.data.batch import Batch
from logogan_jax.distributed.data_parallel import BATCH, REPLICATED, DataParallel


class Feed(NamedTuple):
    """All images and the indices of some steps.

    image: uint8[N, H, W, C] and label: int32[N], whole on every device; index: int32[steps, draws, B], split along B.
    """

    image: jax.Array
    label: jax.Array
    index: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride] - nobody searches a feed with tuple.index


class InMemorySource:
    """Source whose images stay on the devices: only the indices of a step are sent to them."""

    # How each array of a Feed is laid out on the devices.
    specs = Feed(REPLICATED, REPLICATED, BATCH)  # pyright: ignore[reportArgumentType]

    def __init__(
        self, dataset: decode_pool.Images, parallel: DataParallel, *, seed: int, needs_pixels: tuple[bool, ...],
        batch_size: int, same_batch_for: int = 0,
    ):  # fmt: skip
        """`needs_pixels` says for each draw of a step whether its player uses real images; here all have pixels."""
        images = decode_pool.decode_images(dataset, np.arange(len(dataset)))
        self._image, self._label = parallel.device_put(images, REPLICATED)
        self._parallel = parallel
        shape = (len(needs_pixels), batch_size)
        self._indices = functools.partial(
            sampler.batch_indices, seed=seed, shape=shape, size=len(dataset), same_batch_for=same_batch_for
        )

    def at(self, step: int, count: int) -> Feed:
        """The feed of `count` consecutive steps from `step` on."""
        indices = self._indices(step=step, count=count)[..., self._parallel.process_rows]
        return Feed(self._image, self._label, self._parallel.device_put(indices, BATCH))

    @staticmethod
    def batch(feed: Feed, i: int | jax.Array) -> Batch:
        """The batch of the feed's step i, inside the compiled program and on one replica."""
        index = feed.index[i]
        return Batch(image=feed.image[index], label=feed.label[index], index=index)

    def close(self) -> None:
        """Do nothing: there is no thread or process to stop."""
