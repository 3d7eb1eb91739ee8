"""All pixels on every device as uint8; a step gathers its own."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from logogan_jax.data import decode_pool, sampler
from logogan_jax.data.batch import Batch
from logogan_jax.distributed.data_parallel import BATCH, REPLICATED


class Feed(NamedTuple):
    """image uint8[N, H, W, C] and label int32[N] on every device, index int32[steps, draws, B] split."""

    image: jax.Array
    label: jax.Array
    index: jax.Array


class InMemorySource:
    """Source whose images stay on the devices; only the numbers of a step travel."""

    specs = Feed(image=REPLICATED, label=REPLICATED, index=BATCH)

    def __init__(self, part, parallel, *, seed, needs_pixels, batch_size, same_batch_for=0):
        self._image, self._label = parallel.device_put(
            decode_pool.decode_images(part, np.arange(len(part))), REPLICATED
        )
        self._parallel = parallel
        self._drawn = functools.partial(
            sampler.batch_indices,
            seed=seed,
            shape=(len(needs_pixels), batch_size),
            size=len(part),
            same_batch_for=same_batch_for,
        )

    def at(self, step, count):
        """The feed of steps step, ..., step + count - 1."""
        drawn = self._drawn(step=step, count=count)[..., self._parallel.process_rows]
        return Feed(self._image, self._label, self._parallel.device_put(drawn, BATCH))

    @staticmethod
    def batch(feed, i):
        """The batch of the feed's step i, inside the program and on one replica."""
        index = feed.index[i]
        return Batch(image=feed.image[index], label=feed.label[index], index=index)

    def close(self):
        """Nothing to stop."""
