"""The walkthrough's DCGAN pair: upsampling generator, strided critic with dropout.

After Radford et al. 2016 (arXiv 1511.06434), as in Keras's `dcgan_mnist` by Rowel Atienza (2017). At 56 pixels and
width 64 the generator has 3,017,763 parameters, moving statistics included as Keras counts, and the critic 6,209,217.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.core import prng
from logogan_jax.networks import image_sizes, layers
from logogan_jax.networks.conditioning import CriticHead, LabelEmbedding, append_label_maps, split_classes
from logogan_jax.networks.image_sizes import Size

SLOPE = 0.2  # of leaky ReLU, as in the paper


def apply_dropout(keys: jax.Array | None, x: jax.Array, rate: float) -> jax.Array:
    """Zero each activation with probability `rate` and scale the others up: key[n], [n, ...] -> [n, ...]."""
    if not rate:
        return x
    assert keys is not None, "dropout needs a key per row"
    # A mask for each row from the row's own key: the same whatever device the row is on.
    kept = prng.bernoulli_mask(keys, 1 - rate, x.shape[1:])
    # Scaled up while training, so that inference needs no factor.
    return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)


class Generator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels] in [-1, 1]."""

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        latent: int,
        classes: int = 0,
        width: int,
        kernel: int,
        dropout: float,
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        base, doublings = image_sizes.base_and_doublings(size)
        layer_args = {"dtype": dtype, "rngs": rngs}
        # The momentum of dcgan_mnist; Keras's default is 0.99.
        norm = lambda features: layers.batch_norm(features, momentum=0.9, axis_name=axis_name, **layer_args)
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.base = base
        self.width = 4 * width
        self.dropout = dropout
        self.stem = layers.dense(self.label_embedding.length, base[0] * base[1] * self.width, **layer_args)
        # Statistics for each feature at each place: in the original the reshape comes after.
        self.stem_norm = norm(base[0] * base[1] * self.width)
        self.ups = nnx.List()
        self.norms = nnx.List()
        sides = base
        inputs = self.width
        # One doubling for each factor of two between the base and the image: 28, 56 and 112 are 7 doubled 2, 3 and 4
        # times.
        for outputs in [2 * width] + [width] * (doublings - 1):
            self.ups.append(layers.UpConvTranspose(sides, kernel, inputs, outputs, **layer_args))
            self.norms.append(norm(outputs))
            sides = image_sizes.double(sides)
            inputs = outputs
        self.refine = layers.ConvTranspose(sides, kernel, 1, inputs, width // 2, **layer_args)
        self.refine_norm = norm(width // 2)
        self.out = layers.ConvTranspose(sides, kernel, 1, width // 2, channels, **layer_args)

    def __call__(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Generate images. Training takes batch statistics and, for dropout, one key per row."""
        # The walkthrough ends in a sigmoid on [0, 1]; tanh is the same curve on [-1, 1].
        return jnp.tanh(self.logits(z, label, keys=keys, train=train))

    def logits(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Return what becomes images by tanh."""
        normalize = lambda norm, x: nnx.relu(norm(x, use_running_average=not train))
        x = normalize(self.stem_norm, self.stem(self.label_embedding(z, label)))
        x = x.reshape(-1, *self.base, self.width)
        # The walkthrough drops activations of the stem only.
        x = apply_dropout(keys, x, self.dropout) if train else x
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = normalize(norm, up(x))
        x = normalize(self.refine_norm, self.refine(x))
        # Images are float32 whatever the dtype of the arithmetic, as losses are.
        return self.out(x).astype(jnp.float32)


class Critic(nnx.Module):
    """Images float32[n, height, width, channels] in [-1, 1], label int32[n] -> logits float32[n] or [n, outputs]."""

    LAYERS = ("convs",)  # from the image on, up to the last one: what can be frozen

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        classes: int = 0,
        outputs: int = 1,
        width: int,
        kernel: int,
        dropout: float,
        conditioning: str = "projection",
        spectral: bool = False,
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        layer_args = {"spectral": spectral, "axis_name": axis_name, "dtype": dtype, "rngs": rngs}
        self.map_classes, projected = split_classes(conditioning, classes, outputs)
        self.dropout = dropout
        # No batch normalisation: the walkthrough tried it in the critic and took it out again.
        self.convs, flat = layers.strided_convs(size, channels + self.map_classes, width, kernel, **layer_args)
        self.out = CriticHead(flat, outputs=outputs, classes=projected, **layer_args)

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score each image. Training takes one key per row, for dropout."""
        x = append_label_maps(x, label, self.map_classes)
        # A key for each layer, or all layers would drop the same activations.
        layer_keys: Sequence[jax.Array | None] = [None] * len(self.convs)
        if train:
            assert keys is not None, "training needs a key per row"
            layer_keys = prng.split(keys, len(self.convs))
        for layer, dropout_keys in zip(self.convs, layer_keys, strict=True):
            x = nnx.leaky_relu(layer(x, train=train), SLOPE)
            x = apply_dropout(dropout_keys, x, self.dropout) if train else x
        return self.out(x.reshape(x.shape[0], -1), label, train=train)
