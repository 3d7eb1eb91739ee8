"""How networks are conditioned on labels.

Generators get a learned vector of the label beside z. Critics get it in their last layer, by projection (Miyato &
Koyama 2018, arXiv 1802.05637), or as constant maps beside the image (Mirza & Osindero 2014, arXiv 1411.1784).
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.core.errors import UserError
from logogan_jax.networks import layers, spectral_norm

METHODS = ("projection", "concatenation")


def check_method(conditioning: str, methods: tuple[str, ...] = METHODS) -> str:
    """Return the value of config.model.conditioning, or raise a UserError that lists the methods."""
    if conditioning not in methods:
        raise UserError(
            f"config.model.conditioning is {conditioning!r}: it should be one of {', '.join(sorted(methods))}"
        )
    return conditioning


def split_classes(conditioning: str, classes: int, outputs: int, methods: tuple[str, ...] = METHODS) -> tuple[int, int]:
    """Return how many classes a critic sees as maps beside its image, and on how many its last layer projects."""
    assert outputs == 1 or not classes, "which of several outputs would the label belong to?"
    return (0, classes) if check_method(conditioning, methods) == "projection" else (classes, 0)


def append_label_maps(x: jax.Array, label: jax.Array | None, classes: int) -> jax.Array:
    """Append a one-hot vector of the label to the channels of every pixel, which makes one constant map per class.

    [n, ..., c], int32[n] -> [n, ..., c + classes]. Without classes x is returned as it is.
    """
    if not classes:
        return x
    one_hot = jax.nn.one_hot(require_label(label), classes, dtype=x.dtype)
    one_hot = one_hot.reshape(-1, *[1] * (x.ndim - 2), classes)
    return jnp.concatenate([x, jnp.broadcast_to(one_hot, (*x.shape[:-1], classes))], axis=-1)


def require_label(label: jax.Array | None) -> jax.Array:
    """Return the labels of a network that is conditioned on them; without any its caller is wrong."""
    assert label is not None, "a network that is conditioned on labels was called without"
    return label


class LabelEmbedding(nnx.Module):
    """Append a learned vector of the label to z: [n, latent], int32[n] -> [n, length].

    Without classes z is returned as it is.
    """

    def __init__(self, latent: int, classes: int, *, rngs: nnx.Rngs):
        # The vectors have length 1, as one-hot labels have. With the length of z, labels would drown z: the generator
        # then draws one picture for each label and never recovers.
        self.table = nnx.Param(jax.random.normal(rngs.params(), (classes, latent)) / latent**0.5) if classes else None
        self.length = 2 * latent if classes else latent

    def __call__(self, z: jax.Array, label: jax.Array | None) -> jax.Array:
        """Return the latent vector followed by that of the label."""
        if self.table is None:
            return z
        return jnp.concatenate([z, self.table[...][require_label(label)]], axis=-1)


class CriticHead(layers.WeightLayer):
    """The last layer of a critic: features [n, d] -> float32[n], or float32[n, outputs] for more than one output.

    With `classes` it adds the inner product of the features and a learned vector of the label (projection).
    """

    def __init__(
        self,
        features: int,
        *,
        outputs: int,
        classes: int,
        init: layers.Initializer = layers.glorot_uniform,
        spectral: bool = False,
        axis_name: str | None = None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        super().__init__((features, outputs), init=init, spectral=spectral, axis_name=axis_name, dtype=dtype, rngs=rngs)
        # Drawn as a kernel [features, classes], so that the fan-in is the number of features.
        table = init(rngs.params(), (features, classes)).T if classes else None
        self.table = None if table is None else nnx.Param(table)
        vector = spectral_norm.initial_vector(table, rngs=rngs) if spectral and table is not None else None
        self.table_singular_vector = vector

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool = False) -> jax.Array:
        """Multiply in `dtype` and return float32. `train` only matters to spectral normalisation."""
        x, kernel, bias = self.cast(x, train)
        scores = x @ kernel
        # float32 from here on, as losses and penalties are whatever `dtype` is.
        scores = scores.astype(bias.dtype) + jnp.broadcast_to(bias, scores.shape)
        if self.table is not None:
            # Normalised, too: otherwise this term alone could make the critic as steep as it likes.
            table = spectral_norm.normalize(
                self.table[...], self.table_singular_vector, train=train, axis_name=self.axis_name
            )
            products = x * table[require_label(label)].astype(self.dtype)
            scores += jnp.sum(products.astype(bias.dtype), axis=-1, keepdims=True)
        # Losses are [n]: with [n, 1] a difference of two could become [n, n].
        return scores[:, 0] if scores.shape[1] == 1 else scores
