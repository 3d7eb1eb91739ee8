"""The ResNet pair of the Large Logo Dataset: Sage et al. 2018 (arXiv 1712.04407).

Its layers are those of Gulrajani et al. 2017 (arXiv 1704.00028). Batch normalisation in the generator, none in
the critic. What a pair looks like depends on how often its size doubles a base of at most 15 pixels:

    two or three times   every layer has `width` channels (the paper's resnet-32, with 128), the critic halves twice
    four times           8, 4, 2, 1 times `width` (resnet-64, with 64)
    five times or more   as four, between a strided 5 x 5 convolution of the critic and a doubling one of the
                         generator (resnet-128, with 64)

With `conditioning="layers"` labels are one-hot vectors beside z and beside the critic's last features, and
constant maps beside its image and beside the input of every 3 x 3 convolution of the blocks and of the
generator's last convolution.
"""

import itertools

import jax.numpy as jnp
from flax import nnx

from logogan_jax.networks import conditioning, image_sizes, layers
from logogan_jax.networks import conv as maps
from logogan_jax.networks.conditioning import Head, LabelEmbedding, append_label_maps, check_method, split_classes

METHODS = (*conditioning.METHODS, "layers")
he_uniform = nnx.initializers.variance_scaling(2.0, "fan_avg", "uniform")
half_glorot = nnx.initializers.variance_scaling(0.25, "fan_avg", "uniform")  # half the deviation


def block_widths(width, doublings):
    """Channels of the blocks from the largest image to the smallest: resnet-64 -> width times 1, 2, 4, 8."""
    if doublings <= 3:
        return [width] * doublings
    return [width * min(2**i, 8) for i in range(doublings if doublings == 4 else doublings - 1)]


class UpBlock(nnx.Module):
    """Normalised block of the generator: [n, h, w, in], label int32[n] -> [n, 2h, 2w, out]."""

    def __init__(self, size, inputs, outputs, classes, *, dtype, rngs):
        made = {"dtype": dtype, "rngs": rngs}
        self.norms = nnx.List([layers.batch_norm(features, momentum=0.99, **made) for features in (inputs, outputs)])
        self.first = layers.UpConv(size, 3, inputs + classes, outputs, init=he_uniform, **made)
        geometry = maps.same(layers.double_size(size), 3, 1)
        self.second = layers.Conv(geometry, outputs + classes, outputs, init=he_uniform, **made)
        self.shortcut = layers.Conv1x1(inputs, outputs, **made)
        self.classes = classes

    def __call__(self, x, label, *, train):
        """Training takes batch statistics."""
        normal = lambda norm, x: nnx.relu(norm(x, use_running_average=not train))
        y = self.first(append_label_maps(normal(self.norms[0], x), label, self.classes))
        y = self.second(append_label_maps(normal(self.norms[1], y), label, self.classes))
        return layers.upsample_nearest(self.shortcut(x)) + y


class FromRGB(nnx.Module):
    """First layer of a large critic, straight from the image: [n, H, W, in], label int32[n] -> [n, h, w, out]."""

    def __init__(self, geometry, inputs, outputs, **made):
        self.conv = layers.Conv(geometry, inputs, outputs, **made)

    def __call__(self, x, label, *, train):
        """The image carries its maps already."""
        return self.conv(x, train=train)


class StemBlock(nnx.Module):
    """First block of a small critic, straight from the image: [n, h, w, in], label int32[n] -> [n, h/2, w/2, out]."""

    def __init__(self, size, inputs, outputs, classes, **made):
        self.first = layers.Conv(maps.same(size, 3, 1), inputs, outputs, init=he_uniform, **made)
        self.second = layers.ConvPool(size, outputs + classes, outputs, init=he_uniform, **made)
        self.shortcut = layers.Conv1x1(inputs, outputs, **made)
        self.classes = classes

    def __call__(self, x, label, *, train):
        """The image carries its maps already."""
        y = nnx.relu(self.first(x, train=train))
        y = self.second(append_label_maps(y, label, self.classes), train=train)
        return self.shortcut(layers.average_pool(x), train=train) + y


class DownBlock(nnx.Module):
    """Block of the critic: [n, h, w, in], label int32[n] -> [n, h/2, w/2, out]."""

    def __init__(self, size, inputs, outputs, classes, **made):
        self.first = layers.Conv(maps.same(size, 3, 1), inputs + classes, inputs, init=he_uniform, **made)
        self.second = layers.ConvPool(size, inputs + classes, outputs, init=he_uniform, **made)
        self.shortcut = layers.Conv1x1(inputs, outputs, **made)
        self.classes = classes

    def __call__(self, x, label, *, train):
        """Both convolutions see the label."""
        y = self.first(append_label_maps(nnx.relu(x), label, self.classes), train=train)
        y = self.second(append_label_maps(nnx.relu(y), label, self.classes), train=train)
        return self.shortcut(layers.average_pool(x), train=train) + y


class ResBlock(nnx.Module):
    """Block of the critic that keeps the shape: [n, h, w, c], label int32[n] -> [n, h, w, c]."""

    def __init__(self, size, features, classes, **made):
        geometry = maps.same(size, 3, 1)
        self.convs = nnx.List(
            [layers.Conv(geometry, features + classes, features, init=he_uniform, **made) for _ in range(2)]
        )
        self.classes = classes

    def __call__(self, x, label, *, train):
        """Both convolutions see the label."""
        y = x
        for conv in self.convs:
            y = conv(append_label_maps(nnx.relu(y), label, self.classes), train=train)
        return x + y


class Generator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels] in [-1, 1]."""

    def __init__(self, *, size, channels, latent, classes=0, width, conditioning="layers", dtype, rngs):
        base, doublings = image_sizes.base_and_doublings(size)
        made = {"dtype": dtype, "rngs": rngs}
        layered = check_method(conditioning, METHODS) == "layers"
        self.classes = classes if layered else 0
        self.label_embedding = LabelEmbedding(latent, classes - self.classes, rngs=rngs)
        features = block_widths(width, doublings)[::-1]
        self.shape = (*base, features[0])
        self.stem = layers.dense(self.label_embedding.length + self.classes, base[0] * base[1] * features[0], **made)
        self.ups, sides, inputs = nnx.List(), base, features[0]
        for outputs in features:
            self.ups.append(UpBlock(sides, inputs, outputs, self.classes, **made))
            sides, inputs = layers.double_size(sides), outputs
        self.norm = layers.batch_norm(inputs, momentum=0.99, **made)
        if sides == tuple(size):
            self.out = layers.Conv(maps.same(sides, 3, 1), inputs + self.classes, channels, **made)
        else:
            self.out = layers.UpConv(sides, 5, inputs + self.classes, channels, init=half_glorot, **made)

    def __call__(self, z, label=None, *, keys=None, train):
        """Training takes batch statistics."""
        z = append_label_maps(self.label_embedding(z, label), label, self.classes)
        x = self.stem(z).reshape(-1, *self.shape)
        for up in self.ups:
            x = up(x, label, train=train)
        x = nnx.relu(self.norm(x, use_running_average=not train))
        return jnp.tanh(self.out(append_label_maps(x, label, self.classes)).astype(jnp.float32))


class Critic(nnx.Module):
    """Images float32[n, height, width, channels], label int32[n] -> scores float32[n] or [n, outputs]."""

    def __init__(
        self, *, size, channels, classes=0, outputs=1, width, conditioning="layers", spectral=False, dtype, rngs
    ):
        _, doublings = image_sizes.base_and_doublings(size)
        made = {"spectral": spectral, "dtype": dtype, "rngs": rngs}
        self.maps, projected = split_classes(conditioning, classes, outputs, METHODS)
        self.classes = classes if conditioning == "layers" else 0
        features, inputs = block_widths(width, doublings), channels + self.maps
        self.pooled = doublings != 4
        if doublings <= 3:
            self.blocks = nnx.List([StemBlock(size, inputs, width, self.classes, **made)])
            size, features = layers.halve_size(size), features[:2]
        else:
            geometry = maps.same(size, 5, 2) if self.pooled else maps.same(size, 3, 1)
            self.blocks = nnx.List([FromRGB(geometry, inputs, width, **made)])
            size, features = geometry.out, features if self.pooled else [*features, features[-1]]
        for before, after in itertools.pairwise(features):
            self.blocks.append(DownBlock(size, before, after, self.classes, **made))
            size = layers.halve_size(size)
        if self.pooled:
            self.blocks.extend([ResBlock(size, features[-1], self.classes, **made) for _ in range(2)])
        flat = features[-1] * (1 if self.pooled else size[0] * size[1])
        self.out = Head(flat + self.classes, outputs=outputs, classes=projected, **made)

    def __call__(self, x, label=None, *, keys=None, train):
        """One score per image, or `outputs` of them."""
        x = append_label_maps(x, label, self.maps)
        for block in self.blocks:
            x = block(x, label, train=train)
        x = nnx.relu(x).mean((1, 2)) if self.pooled else x.reshape(x.shape[0], -1)
        return self.out(append_label_maps(x, label, self.classes), label, train=train)
