"""The sum of the squares of a large array, at the speed of memory."""

import jax
import jax.numpy as jnp

from logogan_jax.core import target

FOLD = 16
SMALL = 4096


def sum_of_squares(x: jax.Array) -> jax.Array:
    """Return the sum of the squares of an array of any shape, a scalar of its dtype."""
    if not target.is_cpu():
        return jnp.sum(jnp.square(x))
    # XLA's CPU backend does not vectorise a long sum: adding pieces of the array is ten times as fast. What is left
    # over after each cut is added to the front of the next, shorter array.
    x = x.reshape(-1)
    term = jnp.square
    while x.size > SMALL:
        piece = x.size // FOLD
        rest = term(x[piece * FOLD :])
        x = sum(  # pyright: ignore[reportAssignmentType] - typed as if the sum could be that of nothing, 0
            term(x[i * piece : (i + 1) * piece]) for i in range(FOLD)
        )
        x = x.at[: rest.size].add(rest)
        term = lambda values: values  # they are squared already
    return jnp.sum(term(x))
