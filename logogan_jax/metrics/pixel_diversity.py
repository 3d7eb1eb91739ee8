"""How different pictures are from one another, cheaply enough to ask at every log line."""

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import images


def mean_pairwise_distance(pixels: jax.Array | np.ndarray) -> jax.Array:
    """Return the mean distance of two of n >= 2 pictures uint8[n, H, W, 1|3|4], per value and in [0, 1]: float32[].

    RGBA is laid on white, so hidden colours make no difference.
    """
    flat = images.on_white(jnp.asarray(pixels)).reshape(len(pixels), -1).astype(jnp.float32) / 255
    norms = jnp.sum(jnp.square(flat), axis=1)
    squares = norms[:, None] + norms[None] - 2 * flat @ flat.T
    # The diagonal is nothing but rounding.
    distances = jnp.sqrt(jnp.maximum(squares, 0) * (1 - jnp.eye(len(pixels))) / flat.shape[1])
    return jnp.sum(distances) / (len(pixels) * (len(pixels) - 1))
