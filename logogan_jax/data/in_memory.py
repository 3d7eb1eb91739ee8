"""All pixels in every device's memory as uint8; a step gathers its own batch."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import target
from logogan_jax.data import decode_pool, sampler
from logogan_jax.data.batch import Batch
from logogan_jax.distributed.data_parallel import BATCH, REPLICATED, DataParallel

TILE = (8, 128)  # rows of bytes that a TPU's memory is made of


class Feed(NamedTuple):
    """All images and the indices of some steps.

    image: uint8[N, H, W, C], packed as `packed_shape` says, and label: int32[N], whole on every device; blank:
    uint8[0, H, W, C], no image, in the shape of one; index: int32[steps, draws, B], split along B.
    """

    image: jax.Array
    blank: jax.Array
    label: jax.Array
    index: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride] - nobody searches a feed with tuple.index


class InMemorySource:
    """Source whose images stay on the devices: only the indices of a step are sent to them."""

    # How each array of a Feed is laid out on the devices.
    specs = Feed(REPLICATED, REPLICATED, REPLICATED, BATCH)  # pyright: ignore[reportArgumentType]

    def __init__(
        self, dataset: decode_pool.Images, parallel: DataParallel, *, seed: int, needs_pixels: tuple[bool, ...],
        batch_size: int, same_batch_for: int = 0,
    ):  # fmt: skip
        """`needs_pixels` says for each draw of a step whether its player uses real images; here all have pixels."""
        images, labels = decode_pool.decode_images(dataset, np.arange(len(dataset)))
        whole = (pack(images), images[:0], labels)
        self._image, self._blank, self._label = parallel.device_put(whole, REPLICATED)
        self._parallel = parallel
        shape = (len(needs_pixels), batch_size)
        self._indices = functools.partial(
            sampler.batch_indices, seed=seed, shape=shape, size=len(dataset), same_batch_for=same_batch_for
        )

    def at(self, step: int, count: int) -> Feed:
        """The feed of `count` consecutive steps from `step` on."""
        indices = self._indices(step=step, count=count)[..., self._parallel.process_rows]
        return Feed(self._image, self._blank, self._label, self._parallel.device_put(indices, BATCH))

    @staticmethod
    def batch(feed: Feed, i: int | jax.Array) -> Batch:
        """The batch of the feed's step i, inside the compiled program and on one replica."""
        index = feed.index[i]
        return Batch(image=_unpack(feed.image[index], feed.blank.shape[1:]), label=feed.label[index], index=index)

    def close(self) -> None:
        """Do nothing: there is no thread or process to stop."""


def packed_shape(count: int, image: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the shape in which devices keep `count` images of shape (H, W, C).

    A TPU lays the images of an array [N, H, W, C] side by side along its lanes, and a program that gathers some of them
    would first copy all of them into another layout. An image of whole tiles is gathered as it lies.
    """
    if target.platform() != "tpu":
        return (count, *image)
    tiles = -(-math.prod(image) // math.prod(TILE))
    return (count, tiles * TILE[0], TILE[1])


def pack(images: np.ndarray) -> np.ndarray:
    """Return images uint8[N, H, W, C] in the shape that `packed_shape` says, with zeros after those of each image."""
    shape = packed_shape(len(images), (images.shape[1], images.shape[2], images.shape[3]))
    if shape == images.shape:
        return images
    flat = images.reshape(len(images), -1)
    return np.pad(flat, ((0, 0), (0, math.prod(shape[1:]) - flat.shape[1]))).reshape(shape)


def _unpack(packed: jax.Array, image: tuple[int, ...]) -> jax.Array:
    """Return some packed images as uint8[..., H, W, C]."""
    if packed.shape[-len(image) :] == image:
        return packed
    flat = packed.reshape(*packed.shape[:-2], -1)
    return jnp.reshape(flat[..., : math.prod(image)], (*flat.shape[:-1], *image))
