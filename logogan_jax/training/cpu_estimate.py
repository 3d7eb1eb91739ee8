"""How fast this machine multiplies large matrices, from which the duration of other arithmetic is estimated."""

import time

import jax
import jax.numpy as jnp
import numpy as np

SHARE = 0.35  # of a large product's rate that a step reaches, with its convolutions and memory traffic
TILE = 1024


def seconds(flops: float) -> float:
    """Estimate the seconds that this CPU needs for a step of `flops` floating-point operations, from one product."""
    return flops / (product_rate(TILE, "float32", calls=3) * SHARE)


def product_rate(
    side: int,
    dtype: str,
    device: jax.Device | None = None,  # pyright: ignore[reportInvalidTypeForm] - JAX's own alias
    *,
    calls: int,
) -> float:
    """Measure the floating-point operations a second of `calls` products of a matrix [side, side] with itself.

    The numbers are random, as a network's are, because a GPU multiplies ones faster. `side` is a multiple of TILE.
    """
    tile = np.random.default_rng(0).standard_normal((TILE, TILE), np.float32)
    square = jax.device_put(tile, device).astype(dtype)
    # Tiled on the device, so that only one tile is drawn and sent.
    square = square if side == TILE else jnp.tile(square, (side // TILE, side // TILE))
    product = jax.jit(jnp.dot)
    # The first call compiles and is not timed.
    product(square, square).block_until_ready()
    began = time.perf_counter()
    for _ in range(calls):
        result = product(square, square)
    # One wait at the end: a wait after each call would time the host's part of the calls, too.
    result.block_until_ready()
    return calls * 2 * side**3 / (time.perf_counter() - began)
