"""Spectral normalisation: Miyato et al. 2018 (arXiv 1802.05957), algorithm 1.

A kernel, as a matrix W [inputs, outputs], is divided by its largest singular value σ = uᵀ W v. Every training call
makes one power iteration for v. The gradient treats u and v as constants, as the paper does (its appendix A).
"""

import jax
import jax.numpy as jnp
from flax import nnx

# A kernel of zeros stays zero instead of becoming NaN.
EPSILON = 1e-12
# The first kernels are random, and a single iteration would underestimate σ: the first critics would be too steep.
INITIAL_ITERATIONS = 15


class PowerIterationVector(nnx.Variable):
    """v float32[outputs]: the estimate of a kernel's first right singular vector."""


def initial_vector(kernel: jax.Array, *, rngs: nnx.Rngs) -> PowerIterationVector:
    """Estimate v for a new kernel [..., outputs]."""
    return PowerIterationVector(estimate_vector(kernel, jax.random.normal(rngs.params(), kernel.shape[-1:])))


def estimate_vector(kernel: jax.Array, start: jax.Array) -> jax.Array:
    """Estimate v for a kernel [..., outputs] by INITIAL_ITERATIONS power iterations from a start float32[outputs]."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    iterate = lambda _, v: _unit(_dot(_dot(matrix, v), matrix))
    return jax.lax.fori_loop(0, INITIAL_ITERATIONS, iterate, _unit(start))


def normalize(
    kernel: jax.Array, vector: PowerIterationVector | None, *, train: bool, axis_name: str | None = None
) -> jax.Array:
    """Divide a kernel [..., outputs] by its largest singular value; without a vector return it unchanged.

    Training updates the vector. `axis_name` is the mapped axis of the replicas, if there is one.
    """
    if vector is None:
        return kernel
    matrix = kernel.reshape(-1, kernel.shape[-1])
    constant = jax.lax.stop_gradient(matrix)
    v = vector[...]
    u = _unit(_dot(constant, v))
    if train:
        # One iteration is enough: an update changes a kernel little, and the vector is kept (the paper's appendix A).
        v = _unit(_dot(u, constant))
        # All replicas compute the same v. Only after the mean does shard_map know that, too.
        vector[...] = v if axis_name is None else jax.lax.pmean(v, axis_name)
    # Here, and not above, the matrix has a gradient: u and v count as constants.
    return kernel / jnp.maximum(_dot(_dot(u, matrix), v), EPSILON)


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x), EPSILON)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    # In the default precision of TPUs and GPUs the iteration would not converge to a unit singular vector.
    return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)
