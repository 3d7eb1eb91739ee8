"""Which images belong to a step: a pure function of the seed and the step number."""

import functools

import numpy as np


def sample_indices(*, seed: int, step: int, count: int, size: int) -> np.ndarray:
    """Positions int64[count], in a data set of `size` images, of the images that a step draws.

    The draws of a run are one endless sequence, a fresh permutation of the data set in every epoch, cut into
    steps of `count` draws. So an epoch holds every image exactly once.
    """
    places = step * count + np.arange(count)  # in the endless sequence
    epochs = places // size
    offsets = places % size
    indices = np.empty(count, np.int64)
    for epoch in np.unique(epochs):
        in_epoch = epochs == epoch
        indices[in_epoch] = _permutation(seed, int(epoch), size)[offsets[in_epoch]]
    return indices


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    # Sorts raw counter-based bits, whose stream NumPy promises to keep, unlike that of Generator.permutation.
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(size)
    return np.argsort(bits, kind="stable")


def batch_indices(
    *, seed: int, step: int, count: int, shape: tuple[int, int], size: int, same_batch_for: int = 0
) -> np.ndarray:
    """Positions int32[count, draws, B] of the images of `count` consecutive steps; `shape` is (draws, B).

    With `same_batch_for`, all draws of that many consecutive steps are one batch. The walkthrough's scripts of 2018
    trained like this; it is here to compare with them.
    """
    draws, batch_size = shape
    sample = functools.partial(sample_indices, seed=seed, size=size)
    steps = range(step, step + count)
    if same_batch_for:
        rows = [np.tile(sample(step=number // same_batch_for, count=batch_size), draws) for number in steps]
    else:
        rows = [sample(step=number, count=draws * batch_size) for number in steps]
    return np.stack(rows).reshape(count, *shape).astype(np.int32)
