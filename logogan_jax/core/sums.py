"""Sums of the squares of arrays, at the speed of memory."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from logogan_jax.core import target

FOLD = 16
SMALL = 4096


def sums_of_squares(arrays: Sequence[jax.Array]) -> jax.Array:
    """Return the sum of the squares of each of n arrays, of any shapes and of one dtype, as a vector [n]."""
    if target.platform() == "gpu":
        return _sums_of_rows([_sums_along_most_axes(jnp.square(array)) for array in arrays])
    one = _folded_sum if target.is_cpu() else lambda array: jnp.sum(jnp.square(array))
    return jnp.stack([one(array) for array in arrays])


def _sums_of_rows(rows: Sequence[jax.Array]) -> jax.Array:
    # On a GPU the last part of a long sum is a kernel of its own. Here it is one for all arrays. (A TPU has no such
    # part, and would put the rows into one matrix by kernels of their own.)
    longest = max(row.size for row in rows)
    return jnp.stack([jnp.pad(row, (0, longest - row.size)) for row in rows]).sum(1)


def _sums_along_most_axes(x: jax.Array) -> jax.Array:
    if x.size <= SMALL:
        return x.reshape(-1)
    # What is added up lies side by side in memory: filters are stored by output feature, matrices by row.
    if x.ndim > 2:
        return x.sum(range(x.ndim - 1))
    # So few sums that those of the matrix, too, are one kernel.
    count = max(divisor for divisor in range(1, SMALL + 1) if len(x) % divisor == 0)
    return x.reshape(count, -1).sum(1)


def _folded_sum(x: jax.Array) -> jax.Array:
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
