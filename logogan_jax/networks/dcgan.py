"""The walkthrough's DCGAN pair: up-sampling generator, strided critic with dropout.

Keras's `dcgan_mnist` by Rowel Atienza (2017), after Radford et al. 2016 (arXiv 1511.06434). At 56
pixels and width 64: generator 3,017,763 parameters, critic 6,209,217.
"""

import jax.numpy as jnp
from flax import nnx

from logogan_jax import conv as maps
from logogan_jax import keys as randomness
from logogan_jax.networks import blocks, sizes


def dropout(keys, x, rate):
    """Zero each activation with probability `rate` and scale the others up: key[n], [n, ...]."""
    if not rate:
        return x
    kept = randomness.keep(keys, 1 - rate, x.shape[1:])
    return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)


class Generator(nnx.Module):
    """z float32[n, latent] -> float32[n, size, size, channels] in [-1, 1]."""

    def __init__(self, *, size, channels, latent, width, kernel, dropout, dtype, rngs):
        base, doublings = sizes.base_and_doublings(size)
        norm = lambda features: blocks.batch_norm(features, momentum=0.9, dtype=dtype, rngs=rngs)
        self.base, self.width, self.dropout = base, 4 * width, dropout
        self.stem = blocks.dense(latent, base * base * self.width, dtype=dtype, rngs=rngs)
        self.stem_norm = norm(base * base * self.width)
        self.ups, self.norms = nnx.List(), nnx.List()
        side, inputs = base, self.width
        for outputs in [2 * width] + [width] * (doublings - 1):
            side *= 2
            self.ups.append(blocks.ConvTranspose((side, side), kernel, 1, inputs, outputs, dtype=dtype, rngs=rngs))
            self.norms.append(norm(outputs))
            inputs = outputs
        self.refine = blocks.ConvTranspose((side, side), kernel, 1, inputs, width // 2, dtype=dtype, rngs=rngs)
        self.refine_norm = norm(width // 2)
        self.out = blocks.ConvTranspose((side, side), kernel, 1, width // 2, channels, dtype=dtype, rngs=rngs)

    def __call__(self, z, *, keys=None, train):
        """Training takes batch statistics and, where there is dropout, one key per row."""
        normal = lambda norm, x: nnx.relu(norm(x, use_running_average=not train))
        x = normal(self.stem_norm, self.stem(z))
        x = x.reshape(-1, self.base, self.base, self.width)
        x = dropout(keys, x, self.dropout) if train else x
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = normal(norm, up(blocks.upsample(x)))
        x = normal(self.refine_norm, self.refine(x))
        # The walkthrough ends in a sigmoid on [0, 1]; tanh is the same curve on [-1, 1].
        return jnp.tanh(self.out(x).astype(jnp.float32))


class Critic(nnx.Module):
    """Images float32[n, size, size, channels] in [-1, 1] -> logits float32[n]."""

    def __init__(self, *, size, channels, width, kernel, dropout, dtype, rngs):
        self.convs, self.dropout = nnx.List(), dropout
        side, inputs = size, channels
        for outputs in (width, 2 * width, 4 * width, 8 * width):
            geometry = maps.same((side, side), kernel, 2)
            self.convs.append(blocks.Conv(geometry, inputs, outputs, dtype=dtype, rngs=rngs))
            side, inputs = geometry.out[0], outputs
        self.out = blocks.dense(side * side * inputs, 1, dtype=dtype, rngs=rngs)

    def __call__(self, x, *, keys=None, train):
        """One score per image."""
        layer_keys = randomness.split(keys, len(self.convs)) if train else [None] * len(self.convs)
        for conv, drop in zip(self.convs, layer_keys, strict=True):
            x = nnx.leaky_relu(conv(x), 0.2)
            x = dropout(drop, x, self.dropout) if train else x
        return self.out(x.reshape(x.shape[0], -1))[:, 0].astype(jnp.float32)
