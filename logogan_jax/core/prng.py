"""Randomness by address: a key is derived where it is needed from numbers that say where that is.

Keys that end in a row belong to one image of the global batch, so the draws of a run do not depend
on how many devices share the batch.
"""

import jax
import jax.numpy as jnp

# First component of an address. Training steps and everything drawn outside them never meet.
INIT, STEP, GRID, SAMPLE, EVALUATE = range(5)
LABEL = 2**31  # last component of the address of a picture's label, beyond any picture's number


def fold_in(key, *address):
    """Key at an address of whole numbers (python or traced): scalar key -> scalar key."""
    for number in address:
        key = jax.random.fold_in(key, number)
    return key


def per_example_keys(key, numbers):
    """One key per row: scalar key, int32[b] -> key[b]."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)


def split(keys, count):
    """`count` independent sets of row keys: key[b] -> tuple of key[b]."""
    folded = jax.vmap(jax.vmap(jax.random.fold_in, in_axes=(0, None)), in_axes=(None, 0))(keys, jnp.arange(count))
    return tuple(folded[use] for use in range(count))


def normal(keys, shape):
    """Standard normal draws, one array per row: key[b] -> float32[b, *shape]."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def uniform(keys, shape=(), low=0.0, high=1.0):
    """Uniform draws in [low, high), one array per row: key[b] -> float32[b, *shape]."""
    return jax.vmap(lambda key: jax.random.uniform(key, shape, minval=low, maxval=high))(keys)


def bernoulli_mask(keys, probability, shape):
    """True with the given probability, one mask per row: key[b] -> bool[b, *shape]."""
    # 16 random bits decide each element: half the traffic of a float draw, exact to 1/65536.
    threshold = jnp.uint16(round(probability * 2**16))
    bits = jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint16))(keys)
    return bits < threshold
