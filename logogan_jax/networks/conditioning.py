"""How networks are told of labels: generators beside z, critics in their last layer or as maps beside the image."""

import jax
import jax.numpy as jnp
from flax import nnx

from logogan_jax.core.errors import UserError
from logogan_jax.networks import layers, spectral_norm

METHODS = ("projection", "concatenation")


def check_method(conditioning, ways=METHODS):
    """The value of config.model.conditioning, checked."""
    if conditioning not in ways:
        raise UserError(f"config.model.conditioning is {conditioning!r}: it should be one of {', '.join(sorted(ways))}")
    return conditioning


def split_classes(conditioning, classes, outputs, ways=METHODS):
    """The classes that a critic is told of as maps beside its image, and those that its last layer projects on."""
    assert outputs == 1 or not classes, "which of several outputs would the label belong to?"
    return (0, classes) if check_method(conditioning, ways) == "projection" else (classes, 0)


def append_label_maps(x, label, classes):
    """One constant map per class behind the channels (Mirza & Osindero 2014, arXiv 1411.1784).

    [n, ..., c], int32[n] -> [n, ..., c + classes]: a one-hot vector behind each; without classes x as it is.
    """
    if not classes:
        return x
    _demand(label)
    hot = jax.nn.one_hot(label, classes, dtype=x.dtype)
    hot = hot.reshape(-1, *[1] * (x.ndim - 2), classes)
    return jnp.concatenate([x, jnp.broadcast_to(hot, (*x.shape[:-1], classes))], axis=-1)


def _demand(label):
    assert label is not None, "a network that is told of labels was called without"


class LabelEmbedding(nnx.Module):
    """A learned vector per class behind z: [n, latent], int32[n] -> [n, length]; without classes z as it is."""

    def __init__(self, latent, classes, *, rngs):
        # Of length 1, as a one-hot label: as long as z, labels drown it, and each is drawn as one picture for ever.
        self.table = nnx.Param(jax.random.normal(rngs.params(), (classes, latent)) / latent**0.5) if classes else None
        self.length = 2 * latent if classes else latent

    def __call__(self, z, label):
        """The latent first, then the vector of the label."""
        if self.table is None:
            return z
        _demand(label)
        return jnp.concatenate([z, self.table[...][label]], axis=-1)


class Head(layers.Weights):
    """The last layer of a critic: features [n, d] -> float32[n], or float32[n, outputs] where those are more than one.

    With `classes` it adds the product of the features and a learned vector of the label (projection: Miyato &
    Koyama 2018, arXiv 1802.05637).
    """

    def __init__(self, features, *, outputs, classes, init=layers.glorot_uniform, spectral=False, dtype, rngs):
        super().__init__((features, outputs), init=init, spectral=spectral, dtype=dtype, rngs=rngs)
        self.table = nnx.Param(init(rngs.params(), (features, classes)).T) if classes else None
        self.table_singular_vector = (
            spectral_norm.initial_vector(self.table[...], rngs=rngs) if classes and spectral else None
        )

    def __call__(self, x, label, *, train=False):
        """Multiply in `dtype`, give float32; training matters to spectral normalisation alone."""
        x, kernel, bias = self.cast(x, train)
        scores = (x @ kernel).astype(jnp.float32) + bias
        if self.table is not None:
            _demand(label)
            own = spectral_norm.normalize(self.table[...], self.table_singular_vector, train=train)[label]
            scores += jnp.sum((x * own.astype(self.dtype)).astype(jnp.float32), axis=-1, keepdims=True)
        return scores[:, 0] if scores.shape[1] == 1 else scores
