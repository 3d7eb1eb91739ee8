"""The walkthrough's WGAN-GP pair: strided transposed convolutions, critic without normalisation.

keras-contrib's `improved_wgan` (2017), as the walkthrough grew it to 56 and 112 pixels. At 56 pixels
and width 64: generator 7,086,275 parameters, critic 26,088,769 (one output, where the walkthrough had
one per colour channel by mistake).
"""

import jax.numpy as jnp
from flax import nnx

from logogan_jax.networks import conv as maps
from logogan_jax.networks import image_sizes, layers
from logogan_jax.networks.conditioning import Head, LabelEmbedding, append_label_maps, split_classes

SLOPE = 0.3  # Keras's default leak


class Generator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels] in [-1, 1]."""

    def __init__(self, *, size, channels, latent, classes=0, width, kernel, dtype, rngs):
        base, doublings = image_sizes.base_and_doublings(size)
        norm = lambda features: layers.batch_norm(features, momentum=0.99, dtype=dtype, rngs=rngs)
        made = {"dtype": dtype, "rngs": rngs}
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.base, self.width = base, 2 * width
        self.stem = layers.dense(self.label_embedding.length, 16 * width, **made)
        self.project = layers.dense(16 * width, base[0] * base[1] * self.width, **made)
        self.project_norm = norm(base[0] * base[1] * self.width)
        sides = layers.double_size(base)
        self.layers = nnx.List(
            [
                layers.ConvTranspose(base, kernel, 2, self.width, self.width, **made),
                layers.Conv(maps.same(sides, kernel, 1), self.width, width, **made),
            ]
        )
        self.norms = nnx.List([norm(self.width), norm(width)])
        for _ in range(doublings - 1):
            self.layers.append(layers.ConvTranspose(sides, kernel, 2, width, width, **made))
            self.norms.append(norm(width))
            sides = layers.double_size(sides)
        self.out = layers.Conv(maps.same(sides, kernel, 1), width, channels, **made)

    def __call__(self, z, label=None, *, keys=None, train):
        """Training takes batch statistics and, where there is dropout, one key per row."""
        normal = lambda norm, x: nnx.leaky_relu(norm(x, use_running_average=not train), SLOPE)
        x = nnx.leaky_relu(self.stem(self.label_embedding(z, label)), SLOPE)
        x = normal(self.project_norm, self.project(x))
        x = x.reshape(-1, *self.base, self.width)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = normal(norm, layer(x))
        return jnp.tanh(self.out(x).astype(jnp.float32))


class Critic(nnx.Module):
    """Images float32[n, height, width, channels] in [-1, 1], label int32[n] -> scores float32[n], high on reals.

    With more than one output, float32[n, outputs].
    """

    def __init__(self, *, size, channels, classes=0, outputs=1, width, kernel, conditioning="projection", dtype, rngs):
        self.maps, projected = split_classes(conditioning, classes, outputs)
        made = {"dtype": dtype, "rngs": rngs}
        first = maps.same(size, kernel, 1)
        second = maps.valid(first.out, kernel, 2)
        third = maps.same(second.out, kernel, 2)
        self.convs = nnx.List(
            [
                layers.Conv(first, channels + self.maps, width, **made),
                layers.Conv(second, width, 2 * width, init=layers.he_normal, **made),
                layers.Conv(third, 2 * width, 2 * width, init=layers.he_normal, **made),
            ]
        )
        flat = third.out[0] * third.out[1] * 2 * width
        self.hidden = layers.dense(flat, 16 * width, init=layers.he_normal, **made)
        self.out = Head(16 * width, outputs=outputs, classes=projected, init=layers.he_normal, **made)

    def __call__(self, x, label=None, *, keys=None, train):
        """One score per image, or `outputs` of them."""
        x = append_label_maps(x, label, self.maps)
        for conv in self.convs:
            x = nnx.leaky_relu(conv(x), SLOPE)
        x = nnx.leaky_relu(self.hidden(x.reshape(x.shape[0], -1)), SLOPE)
        return self.out(x, label)
