"""Spectral normalisation: Miyato et al. 2018 (arXiv 1802.05957), algorithm 1.

A kernel, as a matrix [inputs, outputs], is divided by its largest singular value σ = uᵀ W v. Every training
call moves v one power iteration on; u and v are constants to the gradient.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from logogan_jax.distributed.data_parallel import AXIS

TINY = 1e-12
FIRST = 15  # iterations before training, so that the first critics are not too steep


class PowerIterationVector(nnx.Variable):
    """v float32[outputs]: what power iteration has found of a kernel's first right singular vector."""


def initial_vector(kernel, *, rngs):
    """v for a kernel [..., outputs] that has just been drawn."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    start = _unit(jax.random.normal(rngs.params(), matrix.shape[1:]))
    return PowerIterationVector(
        jax.lax.fori_loop(0, FIRST, lambda _, v: _unit(_times(_times(matrix, v), matrix)), start)
    )


def normalize(kernel, found, *, train):
    """The kernel over its largest singular value, given a PowerIterationVector; without one the kernel as it is."""
    if found is None:
        return kernel
    matrix = kernel.reshape(-1, kernel.shape[-1])
    fixed, v = jax.lax.stop_gradient(matrix), found[...]
    u = _unit(_times(fixed, v))
    if train:
        v = _unit(_times(u, fixed))
        found[...] = jax.lax.pmean(v, AXIS)  # the same on every replica, and after this known to be
    return kernel / jnp.maximum(_times(_times(u, matrix), v), TINY)


def _unit(x):
    return x / jnp.maximum(jnp.linalg.norm(x), TINY)


def _times(a, b):
    return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)
