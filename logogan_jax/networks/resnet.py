"""The ResNet pair of the Large Logo Dataset: Sage et al. 2018 (arXiv 1712.04407).

The layers are those of Gulrajani et al. 2017 (arXiv 1704.00028): batch normalisation in the generator, none in the
critic. The form of a pair depends on how often its size doubles a base of at most 15 pixels:

    two or three times   every layer has `width` channels (the paper's resnet-32, with 128), the critic halves twice
    four times           8, 4, 2, 1 times `width` (resnet-64, with 64)
    five times or more   as four, between a strided 5 x 5 convolution of the critic and a doubling one of the
                         generator (resnet-128, with 64)

With `conditioning="layers"` labels are one-hot vectors beside z and beside the critic's last features. They are also
constant maps beside the critic's image, the input of every 3 x 3 convolution of the blocks and the generator's last
convolution.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import conv_geometry, image_sizes, layers
from logogan_jax.networks.conditioning import (
    METHODS,
    CriticHead,
    LabelEmbedding,
    append_label_maps,
    check_method,
    split_classes,
)
from logogan_jax.networks.image_sizes import Size
from logogan_jax.networks.resnet_blocks import DownBlock, FromRGB, ResBlock, StemBlock, UpBlock

RESNET_METHODS = (*METHODS, "layers")
# Half of Glorot's deviation, for the last convolution of resnet-128, as in the code of Sage et al.
half_glorot = nnx.initializers.variance_scaling(0.25, "fan_avg", "uniform")


def block_widths(width: int, doublings: int) -> list[int]:
    """Channels of the blocks from the largest image to the smallest: resnet-64 -> width times 1, 2, 4, 8."""
    if doublings <= 3:
        return [width] * doublings
    # The largest images have the fewest channels, because a channel costs most there. From five doublings on, a
    # convolution beside the blocks makes one of the doublings.
    return [width * min(2**i, 8) for i in range(doublings if doublings == 4 else doublings - 1)]


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
        conditioning: str = "layers",
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        base, doublings = image_sizes.base_and_doublings(size)
        layer_args = {"dtype": dtype, "rngs": rngs}
        norm_args = {"axis_name": axis_name, **layer_args}
        self.map_classes = classes if check_method(conditioning, RESNET_METHODS) == "layers" else 0
        self.label_embedding = LabelEmbedding(latent, classes - self.map_classes, rngs=rngs)
        features = block_widths(width, doublings)[::-1]
        self.shape = (*base, features[0])
        # Not normalised: the first block begins with a normalisation.
        self.stem = layers.dense(
            self.label_embedding.length + self.map_classes, base[0] * base[1] * features[0], **layer_args
        )
        self.ups = nnx.List()
        sides = base
        inputs = features[0]
        for outputs in features:
            self.ups.append(UpBlock(sides, inputs, outputs, self.map_classes, **norm_args))
            sides = image_sizes.double(sides)
            inputs = outputs
        # A block ends in a sum, which nothing has normalised.
        self.norm = layers.batch_norm(inputs, momentum=0.99, **norm_args)
        if sides == tuple(size):
            geometry = conv_geometry.same(sides, 3, 1)
            self.out = layers.Conv(geometry, inputs + self.map_classes, channels, **layer_args)
        else:
            # Five doublings or more: the last one is by a transposed convolution, as in resnet-128.
            self.out = layers.UpConv(sides, 5, inputs + self.map_classes, channels, init=half_glorot, **layer_args)

    def __call__(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Generate images. Training takes batch statistics; `keys` change nothing here."""
        return jnp.tanh(self.logits(z, label, keys=keys, train=train))

    def logits(
        self, z: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Return what becomes images by tanh."""
        # z has no pixels: its one-hot vector is appended once.
        z = append_label_maps(self.label_embedding(z, label), label, self.map_classes)
        x = self.stem(z).reshape(-1, *self.shape)
        for up in self.ups:
            x = up(x, label, train=train)
        x = nnx.relu(self.norm(x, use_running_average=not train))
        return self.out(append_label_maps(x, label, self.map_classes)).astype(jnp.float32)


class Critic(nnx.Module):
    """Images float32[n, height, width, channels], label int32[n] -> scores float32[n] or [n, outputs]."""

    LAYERS = ("blocks",)  # from the image on, up to the last one: what can be frozen

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        classes: int = 0,
        outputs: int = 1,
        width: int,
        conditioning: str = "layers",
        spectral: bool = False,
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        _, doublings = image_sizes.base_and_doublings(size)
        layer_args = {"spectral": spectral, "axis_name": axis_name, "dtype": dtype, "rngs": rngs}
        self.image_map_classes, projected = split_classes(conditioning, classes, outputs, RESNET_METHODS)
        self.map_classes = classes if conditioning == "layers" else 0
        features = block_widths(width, doublings)
        inputs = channels + self.image_map_classes
        self.pooled = doublings != 4
        self.blocks: nnx.List[nnx.Module] = nnx.List()
        if doublings <= 3:
            self.blocks.append(StemBlock(size, inputs, width, self.map_classes, **layer_args))
            size = image_sizes.halve(size)
            # Resnet-32 halves twice only, here and in one more block.
            features = features[:2]
        else:
            geometry = conv_geometry.same(size, 5, 2) if self.pooled else conv_geometry.same(size, 3, 1)
            self.blocks.append(FromRGB(geometry, inputs, width, **layer_args))
            size = geometry.out_size
            # Resnet-64 halves once more with as many channels: four blocks from four halvings.
            features = features if self.pooled else [*features, features[-1]]
        for before, after in itertools.pairwise(features):
            self.blocks.append(DownBlock(size, before, after, self.map_classes, **layer_args))
            size = image_sizes.halve(size)
        if self.pooled:
            # Two more at the smallest size, where they cost least.
            self.blocks.extend([ResBlock(size, features[-1], self.map_classes, **layer_args) for _ in range(2)])
        flat = features[-1] * (1 if self.pooled else size[0] * size[1])
        self.out = CriticHead(flat + self.map_classes, outputs=outputs, classes=projected, **layer_args)

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score each image. `train` only matters to spectral normalisation; `keys` change nothing here."""
        x = append_label_maps(x, label, self.image_map_classes)
        for block in self.blocks:
            x = block(x, label, train=train)
        # Resnet-64 sees places in its last layer, the others only that something is there.
        x = nnx.relu(x).mean((1, 2)) if self.pooled else x.reshape(x.shape[0], -1)
        return self.out(append_label_maps(x, label, self.map_classes), label, train=train)
