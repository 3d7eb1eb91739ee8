"""How long a CPU will take, told before it has taken it."""

import time

import jax
import jax.numpy as jnp

SHARE = 0.35  # of a large product's rate, which the step's convolutions and memory traffic reach


def seconds(flops):
    """Seconds that this CPU needs for so many floating-point operations of a step, from one large product."""
    side, repeats = 1024, 3
    square = jnp.ones((side, side))
    product = jax.jit(jnp.dot)
    product(square, square).block_until_ready()
    began = time.perf_counter()
    for _ in range(repeats):
        product(square, square).block_until_ready()
    rate = repeats * 2 * side**3 / (time.perf_counter() - began)
    return flops / (rate * SHARE)
