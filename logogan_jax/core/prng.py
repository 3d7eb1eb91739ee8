"""Randomness by address: a key is derived, where it is needed, from numbers that say what it is for.

Per-example keys belong to the images of the global batch, one each, so the draws of a run do not depend on how many
devices share the batch.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

# First component of an address. Training steps and everything drawn outside them never meet.
INIT, STEP, GRID, SAMPLE, EVALUATE = range(5)
LABEL = 2**31  # last component of the address of a picture's label, beyond any picture's number


def fold_in(key: jax.Array, *address: int | jax.Array) -> jax.Array:
    """Return the key at an address of whole numbers: scalar key -> scalar key."""
    for number in address:
        key = jax.random.fold_in(key, number)
    return key


def per_example_keys(key: jax.Array, numbers: jax.Array | np.ndarray) -> jax.Array:
    """Return one key for each number of an example: a scalar key, or key[b], and int32[b] -> key[b]."""
    return jax.vmap(jax.random.fold_in, in_axes=(0 if key.ndim else None, 0))(key, numbers)


def split(keys: jax.Array, count: int) -> tuple[jax.Array, ...]:
    """Return `count` independent sets of per-example keys: key[b] -> tuple of key[b]."""
    folded = jax.vmap(jax.vmap(jax.random.fold_in, in_axes=(0, None)), in_axes=(None, 0))(keys, jnp.arange(count))
    return tuple(folded[use] for use in range(count))


def normal(keys: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Draw standard normal values, one array per example: key[b] -> float32[b, *shape]."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def uniform(keys: jax.Array, shape: Sequence[int] = (), low: float = 0.0, high: float = 1.0) -> jax.Array:
    """Draw uniform values in [low, high), one array per example: key[b] -> float32[b, *shape]."""
    return jax.vmap(lambda key: jax.random.uniform(key, shape, minval=low, maxval=high))(keys)


def bernoulli_mask(keys: jax.Array, probability: float, shape: Sequence[int]) -> jax.Array:
    """Draw masks that are True with a probability, one per example: key[b] -> bool[b, *shape]."""
    # 16 random bits decide each element: half the traffic of a float draw, exact to 1/65536.
    threshold = jnp.uint16(round(probability * 2**16))
    bits = jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint16))(keys)
    return bits < threshold
