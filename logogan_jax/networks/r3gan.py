"""A residual pair in the manner of R3GAN: Huang et al. 2024 (arXiv 2501.05441), config E.

There is no normalisation. Each stage changes the size and then applies residual blocks: a 1 x 1 convolution to
`expansion` times the channels, a 3 x 3 convolution and a 1 x 1 convolution back, with leaky ReLU between them. The
initialisation is Fixup's (Zhang et al. 2019, arXiv 1901.09321): the last convolution of a block starts at zero, the
others are scaled down with the number of blocks.

The largest images have `width` channels. Each halving of the size doubles them, up to eight times. The paper's 3 x 3
convolutions are grouped, with 16 channels in a group. XLA runs grouped convolutions slowly on CPUs, so here they are
full. That costs more where there are many channels; narrower blocks (`expansion=1`) make up for it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import conv_geometry, image_sizes, layers
from logogan_jax.networks.conditioning import CriticHead, LabelEmbedding, append_label_maps, split_classes
from logogan_jax.networks.image_sizes import Size
from logogan_jax.networks.interpolation import points_along

SLOPE = 0.2  # of leaky ReLU
GAIN = (2 / (1 + SLOPE**2)) ** 0.5  # of leaky ReLU: it keeps the size of activations (He et al. 2015)
CONVS_PER_BLOCK = 3


def scaled_normal(gain: float) -> layers.Initializer:
    """Initialise from a normal distribution of deviation gain / sqrt(fan_in)."""
    return nnx.initializers.variance_scaling(gain**2, "fan_in", "normal")


def stage_widths(width: int, doublings: int) -> list[int]:
    """Channels of the stages from the largest image to the base."""
    return [width * min(2**i, 8) for i in range(doublings + 1)]


def stage_sizes(base: Size, doublings: int) -> list[Size]:
    """Sizes of the stages from the base to the largest image."""
    return [(base[0] * 2**i, base[1] * 2**i) for i in range(doublings + 1)]


def upsample_bilinear(x: jax.Array) -> jax.Array:
    """Interpolate to twice the size, edges repeated: [n, h, w, c] -> [n, 2h, 2w, c]."""
    for axis in (1, 2):
        shape = [2 * length if i == axis else length for i, length in enumerate(x.shape)]
        x = jnp.stack(points_along(x, axis, 2), axis + 1).reshape(shape)
    return x


class ResidualBlock(nnx.Module):
    """x plus three convolutions of x: [n, h, w, c] -> [n, h, w, c]. Initially it is the identity."""

    def __init__(self, size: Size, features: int, expansion: int, depth: int, **layer_args: Any):
        # Fixup's factor for the layers of a block of m layers, one of `depth` blocks: depth^(-1 / (2m - 2)).
        init = scaled_normal(GAIN * depth ** (-1 / (2 * CONVS_PER_BLOCK - 2)))
        inside = expansion * features
        self.widen = layers.Conv1x1(features, inside, init=init, **layer_args)
        self.conv = layers.Conv(conv_geometry.same(size, 3, 1), inside, inside, init=init, **layer_args)
        # Zero: at first a block passes its input on, so depth does not change the size of activations.
        self.narrow = layers.Conv1x1(inside, features, init=nnx.initializers.zeros, **layer_args)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Add the residual to x."""
        y = nnx.leaky_relu(self.widen(x), SLOPE)
        y = nnx.leaky_relu(self.conv(y), SLOPE)
        # No activation after the sum, so that a stack of blocks is a straight path for x.
        return x + self.narrow(y)


class Stage(nnx.Module):
    """Residual blocks on images of one size, after a 1 x 1 convolution where the number of channels changes."""

    def __init__(
        self, size: Size, inputs: int, outputs: int, blocks: int, expansion: int, depth: int, **layer_args: Any
    ):
        # Gain 1 here and wherever no activation comes before a layer.
        project = lambda: layers.Conv1x1(inputs, outputs, init=scaled_normal(1.0), **layer_args)
        self.project = project() if inputs != outputs else None
        self.blocks = nnx.List([ResidualBlock(size, outputs, expansion, depth, **layer_args) for _ in range(blocks)])

    def __call__(self, x: jax.Array, resize: Callable[[jax.Array], jax.Array] = lambda x: x) -> jax.Array:
        """Change the channels, then the size, then apply the blocks: [n, h, w, in] -> [n, height, width, out]."""
        # Channels before size, which is less work when the size grows.
        x = resize(x if self.project is None else self.project(x))
        for block in self.blocks:
            x = block(x)
        return x


def make_stages(
    features: Sequence[int], sizes: Sequence[Size], blocks: int, expansion: int, **layer_args: Any
) -> nnx.List:
    """Make one stage for each number of features and size."""
    depth = blocks * len(sizes)
    inputs = [features[0], *features[:-1]]
    stages = zip(sizes, inputs, features, strict=True)
    return nnx.List([Stage(*stage, blocks, expansion, depth, **layer_args) for stage in stages])


class Generator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels], not limited to [-1, 1]."""

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        latent: int,
        classes: int = 0,
        width: int,
        blocks: int = 2,
        expansion: int = 2,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        base, doublings = image_sizes.base_and_doublings(size)
        layer_args = {"dtype": dtype, "rngs": rngs}
        features = stage_widths(width, doublings)[::-1]
        sizes = stage_sizes(base, doublings)
        self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
        self.basis = nnx.Param(jax.random.normal(rngs.params(), (*base, features[0])))
        self.stem = layers.dense(self.label_embedding.length, features[0], init=scaled_normal(1.0), **layer_args)
        self.stages = make_stages(features, sizes, blocks, expansion, **layer_args)
        self.out = layers.Conv1x1(features[-1], channels, init=scaled_normal(1.0), **layer_args)
        self.dtype = dtype

    def __call__(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Generate images. `keys` and `train` change nothing here."""
        # No tanh, as in the paper: R1 and R2 alone keep the images near the data.
        return self.logits(z, label, keys=keys, train=train)

    def logits(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Return what are images here, and fields of a mark elsewhere."""
        basis = self.basis[...]
        # z gives a weight to each map of a learned basis, as in the paper.
        weights = self.stem(self.label_embedding(z, label)).astype(basis.dtype)
        x = (weights[:, None, None] * basis[None]).astype(self.dtype)
        for number, stage in enumerate(self.stages):
            x = stage(x, upsample_bilinear) if number else stage(x)
        return self.out(x).astype(jnp.float32)


class Critic(nnx.Module):
    """Images float32[n, height, width, channels], label int32[n] -> scores float32[n] or [n, outputs]."""

    LAYERS = ("from_rgb", "stages")  # from the image on, up to the last one: what can be frozen

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        classes: int = 0,
        outputs: int = 1,
        width: int,
        blocks: int = 2,
        expansion: int = 2,
        conditioning: str = "projection",
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        base, doublings = image_sizes.base_and_doublings(size)
        layer_args = {"dtype": dtype, "rngs": rngs}
        features = stage_widths(width, doublings)
        sizes = stage_sizes(base, doublings)[::-1]
        self.map_classes, projected = split_classes(conditioning, classes, outputs)
        # `width` channels at full size, where they cost most.
        self.from_rgb = layers.Conv1x1(channels + self.map_classes, width, init=scaled_normal(1.0), **layer_args)
        self.stages = make_stages(features, sizes, blocks, expansion, **layer_args)
        # The shape of a matrix [positions, features], so that the fan-in is the number of positions that are summed.
        self.basis = nnx.Param(scaled_normal(1.0)(rngs.params(), (base[0] * base[1], features[-1])))
        self.out = CriticHead(features[-1], outputs=outputs, classes=projected, init=scaled_normal(1.0), **layer_args)

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score each image. `keys` and `train` change nothing here."""
        x = self.from_rgb(append_label_maps(x, label, self.map_classes))
        for number, stage in enumerate(self.stages):
            # Pooled before the stage changes the channels: the same result from a quarter of the work.
            x = stage(layers.average_pool(x)) if number else stage(x)
        basis = self.basis[...]
        # A learned weighted sum over positions, the mirror image of the generator's basis.
        pixels = x.reshape(x.shape[0], -1, x.shape[-1]).astype(basis.dtype)
        return self.out(jnp.sum(pixels * basis[None], axis=1), label)
