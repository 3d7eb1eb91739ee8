"""Which examples belong to a step: a function of the seed and the step's number alone."""

import functools

import numpy as np


def examples(*, seed, step, count, size):
    """Positions int64[count] in a data set of `size` images that step number `step` draws.

    The draws of a run are one endless sequence, a fresh permutation of the data set per epoch, cut
    into steps: no image comes twice in an epoch, and none is left out.
    """
    place = step * count + np.arange(count)
    epoch, within = place // size, place % size
    drawn = np.empty(count, np.int64)
    for number in np.unique(epoch):
        here = epoch == number
        drawn[here] = _permutation(seed, int(number), size)[within[here]]
    return drawn


@functools.lru_cache(maxsize=4)
def _permutation(seed, epoch, size):
    # Sorting raw counter-based bits, whose stream numpy promises to keep, unlike Generator's methods.
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(size)
    return np.argsort(bits, kind="stable")


def dispatch(*, seed, step, count, shape, size):
    """Positions int32[count, draws, B] of `count` consecutive steps from `step`; shape is (draws, B)."""
    per_step = shape[0] * shape[1]
    drawn = [examples(seed=seed, step=step + n, count=per_step, size=size) for n in range(count)]
    return np.stack(drawn).reshape(count, *shape).astype(np.int32)
