"""The walkthrough's DCGAN pair: up-sampling generator, strided critic with dropout.

Keras's `dcgan_mnist` by Rowel Atienza (2017), after Radford et al. 2016 (arXiv 1511.06434). At 56
pixels and width 64: generator 3,017,763 parameters, critic 6,209,217.
"""

import jax.numpy as jnp
from flax import nnx

from logogan_jax.core import prng
from logogan_jax.networks import conv as maps
from logogan_jax.networks import image_sizes, layers
from logogan_jax.networks.conditioning import Head, LabelEmbedding, append_label_maps, split_classes


def dropout(keys, x, rate):
    """Zero each activation with probability `rate` and scale the others up: key[n], [n, ...]."""
    if not rate:
        return x
    kept = prng.bernoulli_mask(keys, 1 - rate, x.shape[1:])
    return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)


class Generator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels] in [-1, 1]."""

    def __init__(self, *, size, channels, latent, classes=0, width, kernel, dropout, dtype, rngs):
        base, doublings = image_sizes.base_and_doublings(size)
        norm = lambda features: layers.batch_norm(features, momentum=0.9, dtype=dtype, rngs=rngs)
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.base, self.width, self.dropout = base, 4 * width, dropout
        self.stem = layers.dense(self.label_embedding.length, base[0] * base[1] * self.width, dtype=dtype, rngs=rngs)
        self.stem_norm = norm(base[0] * base[1] * self.width)
        self.ups, self.norms = nnx.List(), nnx.List()
        sides, inputs = base, self.width
        for outputs in [2 * width] + [width] * (doublings - 1):
            self.ups.append(layers.UpConvTranspose(sides, kernel, inputs, outputs, dtype=dtype, rngs=rngs))
            sides = layers.double_size(sides)
            self.norms.append(norm(outputs))
            inputs = outputs
        self.refine = layers.ConvTranspose(sides, kernel, 1, inputs, width // 2, dtype=dtype, rngs=rngs)
        self.refine_norm = norm(width // 2)
        self.out = layers.ConvTranspose(sides, kernel, 1, width // 2, channels, dtype=dtype, rngs=rngs)

    def __call__(self, z, label=None, *, keys=None, train):
        """Training takes batch statistics and, where there is dropout, one key per row."""
        normal = lambda norm, x: nnx.relu(norm(x, use_running_average=not train))
        x = normal(self.stem_norm, self.stem(self.label_embedding(z, label)))
        x = x.reshape(-1, *self.base, self.width)
        x = dropout(keys, x, self.dropout) if train else x
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = normal(norm, up(x))
        x = normal(self.refine_norm, self.refine(x))
        # The walkthrough ends in a sigmoid on [0, 1]; tanh is the same curve on [-1, 1].
        return jnp.tanh(self.out(x).astype(jnp.float32))


class Critic(nnx.Module):
    """Images float32[n, height, width, channels] in [-1, 1], label int32[n] -> logits float32[n] or [n, outputs]."""

    def __init__(
        self,
        *,
        size,
        channels,
        classes=0,
        outputs=1,
        width,
        kernel,
        dropout,
        conditioning="projection",
        spectral=False,
        dtype,
        rngs,
    ):
        made = {"spectral": spectral, "dtype": dtype, "rngs": rngs}
        self.maps, projected = split_classes(conditioning, classes, outputs)
        self.convs, self.dropout = nnx.List(), dropout
        inputs = channels + self.maps
        for features in (width, 2 * width, 4 * width, 8 * width):
            geometry = maps.same(size, kernel, 2)
            self.convs.append(layers.Conv(geometry, inputs, features, **made))
            size, inputs = geometry.out, features
        flat = size[0] * size[1] * inputs
        self.out = Head(flat, outputs=outputs, classes=projected, **made)

    def __call__(self, x, label=None, *, keys=None, train):
        """One score per image, or `outputs` of them."""
        x = append_label_maps(x, label, self.maps)
        layer_keys = prng.split(keys, len(self.convs)) if train else [None] * len(self.convs)
        for conv, drop in zip(self.convs, layer_keys, strict=True):
            x = nnx.leaky_relu(conv(x, train=train), 0.2)
            x = dropout(drop, x, self.dropout) if train else x
        return self.out(x.reshape(x.shape[0], -1), label, train=train)
