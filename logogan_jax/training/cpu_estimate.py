"""How fast large products run here, which tells how long other arithmetic will take."""

import time

import jax
import jax.numpy as jnp
import numpy as np

SHARE = 0.35  # of a large product's rate, which the step's convolutions and memory traffic reach
TILE = 1024


def seconds(flops):
    """Seconds that this CPU needs for so many floating-point operations of a step, from one large product."""
    return flops / (product_rate(TILE, "float32", calls=3) * SHARE)


def product_rate(side, dtype, device=None, *, calls):
    """Floating-point operations a second of so many products of [side, side] with itself, one after the other.

    The numbers are random, as a network's are: of ones a GPU makes faster work. `side` is a multiple of TILE.
    """
    tile = np.random.default_rng(0).standard_normal((TILE, TILE), np.float32)
    square = jax.device_put(tile, device).astype(dtype)
    square = square if side == TILE else jnp.tile(square, (side // TILE, side // TILE))
    product = jax.jit(jnp.dot)
    product(square, square).block_until_ready()
    began = time.perf_counter()
    for _ in range(calls):
        result = product(square, square)
    result.block_until_ready()
    return calls * 2 * side**3 / (time.perf_counter() - began)
