"""A residual pair in the manner of R3GAN: Huang et al. 2024 (arXiv 2501.05441), config E.

No normalisation. Each stage changes the size and then adds residual blocks to what it has: 1 x 1 convolution to
`expansion` times the channels, 3 x 3, 1 x 1 back, leaky ReLU between them. Initialisation is Fixup's (Zhang et al.
2019, arXiv 1901.09321): the last convolution of a block starts at zero, the others are scaled down with the
number of blocks.

The largest images have `width` channels, each halving of the size doubles them, up to eight times. The paper's
3 x 3 convolutions are grouped, 16 channels a group; XLA runs grouped convolutions slowly on CPUs, so here
they are whole, which costs more where images are wide: narrower blocks (`expansion=1`) make up for it.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from logogan_jax.networks import conv as maps
from logogan_jax.networks import image_sizes, layers
from logogan_jax.networks.conditioning import Head, LabelEmbedding, append_label_maps, split_classes

SLOPE = 0.2
GAIN = (2 / (1 + SLOPE**2)) ** 0.5  # of leaky ReLU: with it activations keep their size
LAYERS = 3  # convolutions of a block


def scaled_normal(gain):
    """Normal initialiser of deviation gain / sqrt(fan_in)."""
    return nnx.initializers.variance_scaling(gain**2, "fan_in", "normal")


def stage_widths(width, doublings):
    """Channels of the stages from the largest image to the base."""
    return [width * min(2**i, 8) for i in range(doublings + 1)]


def upsample_bilinear(x):
    """Bilinear interpolation to twice the size, edges repeated: [n, h, w, c] -> [n, 2h, 2w, c]."""
    for axis in (1, 2):
        side = x.shape[axis]
        part = functools.partial(lax.slice_in_dim, x, axis=axis)
        before = jnp.concatenate([part(0, 1), part(0, side - 1)], axis)
        after = jnp.concatenate([part(1, side), part(side - 1, side)], axis)
        shape = [2 * length if i == axis else length for i, length in enumerate(x.shape)]
        x = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1).reshape(shape)
    return x


class ResidualBlock(nnx.Module):
    """x plus three convolutions of it, which are nothing at the start: [n, h, w, c] -> [n, h, w, c]."""

    def __init__(self, size, features, expansion, depth, *, dtype, rngs):
        made = {"dtype": dtype, "rngs": rngs}
        init = scaled_normal(GAIN * depth ** (-1 / (2 * LAYERS - 2)))
        inside = expansion * features
        self.widen = layers.Conv1x1(features, inside, init=init, **made)
        self.conv = layers.Conv(maps.same(size, 3, 1), inside, inside, init=init, **made)
        self.narrow = layers.Conv1x1(inside, features, init=nnx.initializers.zeros, **made)

    def __call__(self, x):
        """Linear along x itself."""
        y = nnx.leaky_relu(self.widen(x), SLOPE)
        y = nnx.leaky_relu(self.conv(y), SLOPE)
        return x + self.narrow(y)


class Stage(nnx.Module):
    """Residual blocks on images of one size, before them a 1 x 1 convolution where the channels change."""

    def __init__(self, size, inputs, outputs, blocks, expansion, depth, *, dtype, rngs):
        made = {"dtype": dtype, "rngs": rngs}
        self.project = None if inputs == outputs else layers.Conv1x1(inputs, outputs, init=scaled_normal(1.0), **made)
        self.blocks = nnx.List([ResidualBlock(size, outputs, expansion, depth, **made) for _ in range(blocks)])

    def __call__(self, x, resize=lambda x: x):
        """[n, h, w, in] -> [n, height, width, out], resized before the blocks."""
        x = resize(x if self.project is None else self.project(x))
        for block in self.blocks:
            x = block(x)
        return x


def make_stages(features, sides, blocks, expansion, **made):
    """One stage for each of these widths and sizes."""
    depth = blocks * len(sides)
    steps = zip(sides, [features[0], *features], features, strict=False)
    return nnx.List([Stage(*step, blocks, expansion, depth, **made) for step in steps])


class Generator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels], not squashed to [-1, 1]."""

    def __init__(self, *, size, channels, latent, classes=0, width, blocks=2, expansion=2, dtype, rngs):
        base, doublings = image_sizes.base_and_doublings(size)
        made = {"dtype": dtype, "rngs": rngs}
        features = stage_widths(width, doublings)[::-1]
        sides = [tuple(side * 2**i for side in base) for i in range(doublings + 1)]
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.basis = nnx.Param(jax.random.normal(rngs.params(), (*base, features[0])))
        self.stem = layers.dense(self.label_embedding.length, features[0], init=scaled_normal(1.0), **made)
        self.stages = make_stages(features, sides, blocks, expansion, **made)
        self.out = layers.Conv1x1(features[-1], channels, init=scaled_normal(1.0), **made)
        self.dtype = dtype

    def __call__(self, z, label=None, *, keys=None, train):
        """Training changes nothing here; z says how much of each map of the learned basis is there."""
        x = (self.stem(self.label_embedding(z, label))[:, None, None] * self.basis[...]).astype(self.dtype)
        for number, stage in enumerate(self.stages):
            x = stage(x, upsample_bilinear) if number else stage(x)
        return self.out(x).astype(jnp.float32)


class Critic(nnx.Module):
    """Images float32[n, height, width, channels], label int32[n] -> scores float32[n] or [n, outputs]."""

    def __init__(
        self, *, size, channels, classes=0, outputs=1, width, blocks=2, expansion=2,
        conditioning="projection", dtype, rngs,
    ):  # fmt: skip
        base, doublings = image_sizes.base_and_doublings(size)
        self.maps, projected = split_classes(conditioning, classes, outputs)
        made = {"dtype": dtype, "rngs": rngs}
        features = stage_widths(width, doublings)
        sides = [tuple(side * 2**i for side in base) for i in range(doublings, -1, -1)]
        self.from_rgb = layers.Conv1x1(channels + self.maps, width, init=scaled_normal(1.0), **made)
        self.stages = make_stages(features, sides, blocks, expansion, **made)
        self.basis = nnx.Param(scaled_normal(1.0)(rngs.params(), (base[0] * base[1], features[-1])))
        self.out = Head(features[-1], outputs=outputs, classes=projected, init=scaled_normal(1.0), **made)
        self.dtype = dtype

    def __call__(self, x, label=None, *, keys=None, train):
        """One score per image, or `outputs` of them; training changes nothing here."""
        x = self.from_rgb(append_label_maps(x, label, self.maps))
        for number, stage in enumerate(self.stages):
            x = stage(layers.average_pool(x)) if number else stage(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return self.out(jnp.sum(x * self.basis[...], axis=1), label)
