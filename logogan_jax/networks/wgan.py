"""The walkthrough's WGAN-GP pair: strided transposed convolutions, critic without normalisation.

keras-contrib's `improved_wgan` (2017), as the walkthrough grew it to 56 and 112 pixels. At 56 pixels
and width 64: generator 7,086,275 parameters, critic 26,088,769 (one output, where the walkthrough had
one per colour channel by mistake).
"""

import jax.numpy as jnp
from flax import nnx

from logogan_jax import conv as maps
from logogan_jax.networks import blocks, sizes

SLOPE = 0.3  # Keras's default leak


class Generator(nnx.Module):
    """z float32[n, latent] -> float32[n, size, size, channels] in [-1, 1]."""

    def __init__(self, *, size, channels, latent, width, kernel, dtype, rngs):
        base, doublings = sizes.base_and_doublings(size)
        norm = lambda features: blocks.batch_norm(features, momentum=0.99, dtype=dtype, rngs=rngs)
        made = {"dtype": dtype, "rngs": rngs}
        self.base, self.width = base, 2 * width
        self.stem = blocks.dense(latent, 16 * width, **made)
        self.project = blocks.dense(16 * width, base * base * self.width, **made)
        self.project_norm = norm(base * base * self.width)
        side = 2 * base
        self.layers = nnx.List(
            [
                blocks.ConvTranspose((base, base), kernel, 2, self.width, self.width, **made),
                blocks.Conv(maps.same((side, side), kernel, 1), self.width, width, **made),
            ]
        )
        self.norms = nnx.List([norm(self.width), norm(width)])
        for _ in range(doublings - 1):
            self.layers.append(blocks.ConvTranspose((side, side), kernel, 2, width, width, **made))
            self.norms.append(norm(width))
            side *= 2
        self.out = blocks.Conv(maps.same((side, side), kernel, 1), width, channels, **made)

    def __call__(self, z, *, keys=None, train):
        """Training takes batch statistics and, where there is dropout, one key per row."""
        normal = lambda norm, x: nnx.leaky_relu(norm(x, use_running_average=not train), SLOPE)
        x = nnx.leaky_relu(self.stem(z), SLOPE)
        x = normal(self.project_norm, self.project(x))
        x = x.reshape(-1, self.base, self.base, self.width)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = normal(norm, layer(x))
        return jnp.tanh(self.out(x).astype(jnp.float32))


class Critic(nnx.Module):
    """Images float32[n, size, size, channels] in [-1, 1] -> scores float32[n], high on real images."""

    def __init__(self, *, size, channels, width, kernel, dtype, rngs):
        made = {"dtype": dtype, "rngs": rngs}
        first = maps.same((size, size), kernel, 1)
        second = maps.valid(first.out, kernel, 2)
        third = maps.same(second.out, kernel, 2)
        self.convs = nnx.List(
            [
                blocks.Conv(first, channels, width, **made),
                blocks.Conv(second, width, 2 * width, init=blocks.he_normal, **made),
                blocks.Conv(third, 2 * width, 2 * width, init=blocks.he_normal, **made),
            ]
        )
        flat = third.out[0] * third.out[1] * 2 * width
        self.hidden = blocks.dense(flat, 16 * width, init=blocks.he_normal, **made)
        self.out = blocks.dense(16 * width, 1, init=blocks.he_normal, **made)

    def __call__(self, x, *, keys=None, train):
        """One score per image."""
        for conv in self.convs:
            x = nnx.leaky_relu(conv(x), SLOPE)
        x = nnx.leaky_relu(self.hidden(x.reshape(x.shape[0], -1)), SLOPE)
        return self.out(x)[:, 0].astype(jnp.float32)
