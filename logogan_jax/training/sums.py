"""The sum of the squares of a large array, at the speed of memory."""

import jax
import jax.numpy as jnp

FOLDS, SMALL = 16, 4096


def square_sum(x):
    """Sum of squares of an array of any shape -> scalar of its dtype."""
    if jax.default_backend() != "cpu":
        return jnp.sum(jnp.square(x))
    # XLA's CPU backend sums in windows that it does not vectorise, ten times slower than these additions of pieces.
    x, squared = x.reshape(-1), jnp.square
    while x.size > SMALL:
        piece = x.size // FOLDS
        rest = squared(x[piece * FOLDS :])
        x = sum(squared(x[i * piece : (i + 1) * piece]) for i in range(FOLDS))
        x, squared = x.at[: rest.size].add(rest), lambda values: values
    return jnp.sum(squared(x))
