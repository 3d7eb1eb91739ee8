"""What finds latent vectors: an encoder of images, and a table of learned codes, one per training image."""

import jax
import jax.numpy as jnp
from flax import nnx

from logogan_jax.networks import conditioning, layers
from logogan_jax.networks import conv as maps


class Encoder(nnx.Module):
    """Images float32[n, height, width, channels], label int32[n] -> two float32[n, latent]: mean, log variance.

    The trunk of the DCGAN critic without its dropout, for a variational autoencoder (Kingma & Welling 2013, arXiv
    1312.6114); it is told of labels by maps beside the image.
    """

    def __init__(self, *, size, channels, latent, classes=0, width, kernel=4, dtype, rngs):
        self.classes, self.convs = classes, nnx.List()
        inputs = channels + classes
        for features in (width, 2 * width, 4 * width, 8 * width):
            geometry = maps.same(size, kernel, 2)
            self.convs.append(layers.Conv(geometry, inputs, features, dtype=dtype, rngs=rngs))
            size, inputs = geometry.out, features
        self.out = layers.dense(size[0] * size[1] * inputs, 2 * latent, dtype=dtype, rngs=rngs)

    def __call__(self, x, label=None, *, keys=None, train):
        """The normal distribution of z given each image; training changes nothing here."""
        x = conditioning.append_label_maps(x, label, self.classes)
        for conv in self.convs:
            x = nnx.leaky_relu(conv(x), 0.2)
        mean, log_variance = jnp.split(self.out(x.reshape(x.shape[0], -1)).astype(jnp.float32), 2, axis=-1)
        return mean, log_variance


class LatentCodes(nnx.Module):
    """Number of a training image int32[n] -> its code float32[n, latent].

    Codes are drawn from the standard normal distribution and projected to the unit ball (Bojanowski et al. 2018,
    arXiv 1707.05776, section 2).
    """

    def __init__(self, *, images, latent, rngs):
        table = jax.random.normal(rngs.params(), (images, latent))
        norm = jnp.linalg.norm(table, axis=-1, keepdims=True)
        self.table = nnx.Param(table / jnp.maximum(norm, 1))

    def __call__(self, index):
        """Look up; the gradient reaches only the codes that were looked at."""
        return self.table[...][index]
