"""Which examples belong to a step: a function of the seed and the step's number alone."""

import functools

import numpy as np


def sample_indices(*, seed, step, count, size):
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


def batch_indices(*, seed, step, count, shape, size, same_batch_for=0):
    """Positions int32[count, draws, B] of `count` consecutive steps from `step`; shape is (draws, B).

    With `same_batch_for` all draws of so many consecutive steps are one and the same batch, a quirk of
    the walkthrough's scripts of 2018 that is there to compare with.
    """
    draws, batch_size = shape
    drawn, steps = functools.partial(sample_indices, seed=seed, size=size), range(step, step + count)
    if same_batch_for:
        found = [np.tile(drawn(step=number // same_batch_for, count=batch_size), draws) for number in steps]
    else:
        found = [drawn(step=number, count=draws * batch_size) for number in steps]
    return np.stack(found).reshape(count, *shape).astype(np.int32)
