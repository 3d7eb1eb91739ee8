"""The walkthrough's WGAN-GP pair: strided transposed convolutions, critic without normalisation.

After keras-contrib's `improved_wgan` (2017) of Gulrajani et al. 2017 (arXiv 1704.00028), as the walkthrough grew it to
56 and 112 pixels. At 56 pixels and width 64 the generator has 7,086,275 parameters, moving statistics included as Keras
counts. The critic has 26,088,769, with one output where the walkthrough had one per colour channel by mistake.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import conv_geometry, image_sizes, layers
from logogan_jax.networks.conditioning import CriticHead, LabelEmbedding, append_label_maps, split_classes
from logogan_jax.networks.image_sizes import Size

SLOPE = 0.3  # of leaky ReLU, Keras's default


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
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        base, doublings = image_sizes.base_and_doublings(size)
        layer_args = {"dtype": dtype, "rngs": rngs}
        # 0.99 is Keras's default, which keras-contrib leaves as it is.
        norm = lambda features: layers.batch_norm(features, momentum=0.99, axis_name=axis_name, **layer_args)
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.base = base
        self.width = 2 * width
        self.stem = layers.dense(self.label_embedding.length, 16 * width, **layer_args)
        self.project = layers.dense(16 * width, base[0] * base[1] * self.width, **layer_args)
        self.project_norm = norm(base[0] * base[1] * self.width)
        # The first doubling is followed by a plain convolution, as in keras-contrib; each later doubling, which the
        # walkthrough added for larger images, is a transposed convolution alone.
        sides = image_sizes.double(base)
        self.layers = nnx.List(
            [
                layers.ConvTranspose(base, kernel, 2, self.width, self.width, **layer_args),
                layers.Conv(conv_geometry.same(sides, kernel, 1), self.width, width, **layer_args),
            ]
        )
        self.norms = nnx.List([norm(self.width), norm(width)])
        for _ in range(doublings - 1):
            self.layers.append(layers.ConvTranspose(sides, kernel, 2, width, width, **layer_args))
            self.norms.append(norm(width))
            sides = image_sizes.double(sides)
        self.out = layers.Conv(conv_geometry.same(sides, kernel, 1), width, channels, **layer_args)

    def __call__(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Generate images. Training takes batch statistics; `keys` change nothing here."""
        return jnp.tanh(self.logits(z, label, keys=keys, train=train))

    def logits(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Return what becomes images by tanh."""
        normalize = lambda norm, x: nnx.leaky_relu(norm(x, use_running_average=not train), SLOPE)
        # The first layer is not normalised, as in keras-contrib.
        x = nnx.leaky_relu(self.stem(self.label_embedding(z, label)), SLOPE)
        x = normalize(self.project_norm, self.project(x))
        x = x.reshape(-1, *self.base, self.width)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = normalize(norm, layer(x))
        # Images are float32 whatever the dtype of the arithmetic, as losses are.
        return self.out(x).astype(jnp.float32)


class Critic(nnx.Module):
    """Images float32[n, height, width, channels] in [-1, 1], label int32[n] -> scores float32[n] or [n, outputs]."""

    LAYERS = ("convs", "hidden")  # from the image on, up to the last one: what can be frozen

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        classes: int = 0,
        outputs: int = 1,
        width: int,
        kernel: int,
        conditioning: str = "projection",
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        # No normalisation: the gradient penalty belongs to one image, which batch statistics would mix with others.
        layer_args = {"dtype": dtype, "rngs": rngs}
        self.map_classes, projected = split_classes(conditioning, classes, outputs)
        first = conv_geometry.same(size, kernel, 1)
        # The second convolution has no padding: Keras's default, where the two others ask for "same".
        second = conv_geometry.valid(first.out_size, kernel, 2)
        third = conv_geometry.same(second.out_size, kernel, 2)
        self.convs = nnx.List(
            [
                # The first has Keras's default weights and the others He's, as in keras-contrib.
                layers.Conv(first, channels + self.map_classes, width, **layer_args),
                layers.Conv(second, width, 2 * width, init=layers.he_normal, **layer_args),
                layers.Conv(third, 2 * width, 2 * width, init=layers.he_normal, **layer_args),
            ]
        )
        flat = third.out_size[0] * third.out_size[1] * 2 * width
        self.hidden = layers.dense(flat, 16 * width, init=layers.he_normal, **layer_args)
        self.out = CriticHead(16 * width, outputs=outputs, classes=projected, init=layers.he_normal, **layer_args)

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score each image, high on real ones. `keys` and `train` change nothing here."""
        x = append_label_maps(x, label, self.map_classes)
        for layer in self.convs:
            x = nnx.leaky_relu(layer(x), SLOPE)
        x = nnx.leaky_relu(self.hidden(x.reshape(x.shape[0], -1)), SLOPE)
        return self.out(x, label)
