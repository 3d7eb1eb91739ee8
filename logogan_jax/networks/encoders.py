"""Networks that give latent vectors: an encoder of images, and a table of learned codes of training images."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import conditioning, layers
from logogan_jax.networks.image_sizes import Size

SLOPE = 0.2  # of leaky ReLU, as in DCGAN's critic


class Encoder(nnx.Module):
    """Images float32[n, height, width, channels], label int32[n] -> (mean, log variance), each float32[n, latent].

    The encoder of a variational autoencoder (Kingma & Welling 2013, arXiv 1312.6114): DCGAN's critic without dropout
    and with other outputs. Labels are maps beside the image.
    """

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        latent: int,
        classes: int = 0,
        width: int,
        kernel: int = 4,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.map_classes = classes
        self.convs, flat = layers.strided_convs(size, channels + classes, width, kernel, dtype=dtype, rngs=rngs)
        self.out = layers.dense(flat, 2 * latent, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Return the parameters of q(z|x) for each image. `keys` and `train` change nothing here."""
        x = conditioning.append_label_maps(x, label, self.map_classes)
        for layer in self.convs:
            x = nnx.leaky_relu(layer(x), SLOPE)
        # The logarithm of the variance is any number: no constraint is needed to keep the variance positive.
        # In float32, because the loss takes the exponential of it.
        mean, log_variance = jnp.split(self.out(x.reshape(x.shape[0], -1)).astype(jnp.float32), 2, axis=-1)
        return mean, log_variance


class LatentCodes(nnx.Module):
    """Index of a training image int32[n] -> its learned code float32[n, latent].

    Codes are drawn from the standard normal distribution and projected to the unit ball (GLO: Bojanowski et al. 2018,
    arXiv 1707.05776, section 2).
    """

    def __init__(self, *, images: int, latent: int, rngs: nnx.Rngs):
        table = jax.random.normal(rngs.params(), (images, latent))
        # In the ball all codes have bounded length, so that a generator cannot fit an image by a longer code.
        norm = jnp.linalg.norm(table, axis=-1, keepdims=True)
        self.table = nnx.Param(table / jnp.maximum(norm, 1))

    def __call__(self, index: jax.Array) -> jax.Array:
        """Look up codes. Only these receive a gradient."""
        return self.table[...][index]
