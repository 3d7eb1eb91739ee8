"""Networks of two dense layers: what an objective does on any network is seen on these, which compile in a second.

And a feature network that costs nothing, of which the same holds for evaluations.
"""

import jax
import numpy as np
import optax
from flax import nnx

from logogan_jax.metrics import features
from logogan_jax.networks import layers
from logogan_jax.networks.conditioning import CriticHead, LabelEmbedding
from logogan_jax.networks.dcgan import apply_dropout
from logogan_jax.networks.encoders import LatentCodes

DROPOUT = 0.25
SHARED = 256  # numbers of a leaf from which on several devices share it in tests: kernels of these networks


class Generator(nnx.Module):
    """z, label -> images, with batch statistics and dropout."""

    NORMED = True
    DROPOUT = DROPOUT

    def __init__(self, *, size, channels, latent, classes=0, width, axis_name, dtype, rngs):
        self.shape = (*size, channels)
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.stem = layers.dense(self.label_embedding.length, width, dtype=dtype, rngs=rngs)
        if self.NORMED:
            self.norm = layers.batch_norm(width, momentum=0.9, axis_name=axis_name, dtype=dtype, rngs=rngs)
        self.out = layers.dense(width, size[0] * size[1] * channels, dtype=dtype, rngs=rngs)

    def __call__(self, z, label=None, *, keys=None, train):
        return nnx.tanh(self.logits(z, label, keys=keys, train=train))

    def logits(self, z, label=None, *, keys=None, train):
        x = self.stem(self.label_embedding(z, label))
        x = nnx.relu(self.norm(x, use_running_average=not train) if self.NORMED else x)
        x = apply_dropout(keys, x, self.DROPOUT) if train else x
        return self.out(x).reshape(-1, *self.shape)


class Critic(nnx.Module):
    """Images, label -> scores, with dropout, and spectral norm of the last layer where it is asked for."""

    LAYERS = ("stem",)
    DROPOUT = DROPOUT

    def __init__(self, *, size, channels, classes=0, outputs=1, width, spectral=False, axis_name, dtype, rngs):
        self.stem = layers.dense(size[0] * size[1] * channels, width, dtype=dtype, rngs=rngs)
        self.out = CriticHead(
            width, outputs=outputs, classes=classes, spectral=spectral, axis_name=axis_name, dtype=dtype, rngs=rngs
        )

    def __call__(self, x, label=None, *, keys=None, train):
        x = nnx.leaky_relu(self.stem(x.reshape(len(x), -1)), 0.2)
        return self.out(apply_dropout(keys, x, self.DROPOUT) if train else x, label, train=train)


class Encoder(nnx.Module):
    """Images, label -> mean and log variance of a latent vector."""

    def __init__(self, *, size, channels, latent, width, dtype, rngs):
        self.stem = layers.dense(size[0] * size[1] * channels, width, dtype=dtype, rngs=rngs)
        self.mean = layers.dense(width, latent, dtype=dtype, rngs=rngs)
        self.log_variance = layers.dense(width, latent, dtype=dtype, rngs=rngs)

    def __call__(self, x, label=None, *, keys=None, train):
        x = nnx.leaky_relu(self.stem(x.reshape(len(x), -1)), 0.2)
        return self.mean(x), self.log_variance(x)


class PlainGenerator(Generator):
    """Without batch statistics and dropout, half of whose kernels these are."""

    NORMED = False
    DROPOUT = 0.0


class PlainCritic(Critic):
    """Without dropout."""

    DROPOUT = 0.0


TOY = {"generator": Generator, "critic": Critic, "encoder": Encoder, "codes": LatentCodes}
PLAIN = {**TOY, "generator": PlainGenerator, "critic": PlainCritic}


def momentum(*, images_per_update, learning_rate):
    """Gradient descent that has a state and hides no factor in a gradient, as Adam would."""
    return optax.sgd(lambda _: learning_rate, momentum=0.9)


def project(weights, pixels):
    seen = pixels.reshape(len(pixels), -1) / 255.0 @ weights
    return features.Features(seen, seen)


def toy_features():
    """A feature network of images of 28 x 28 pixels in three channels: random projections of the pixels."""
    weights = np.random.default_rng(0).normal(size=(28 * 28 * 3, 12)).astype(np.float32)
    return features.FeatureNetwork("toy", "0" * 64, jax.device_put(weights), project, 5)
