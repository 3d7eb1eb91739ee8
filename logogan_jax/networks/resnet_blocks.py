"""The residual blocks of the ResNet pair: Gulrajani et al. 2017 (arXiv 1704.00028), appendix F.

Label maps may stand beside the input of each 3 x 3 convolution (Sage et al. 2018, arXiv 1712.04407).
"""

from typing import Any

import jax
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import conv_geometry, image_sizes, layers
from logogan_jax.networks.conditioning import append_label_maps
from logogan_jax.networks.conv_geometry import Geometry
from logogan_jax.networks.image_sizes import Size

# Uniform, with the mean of both fans, as in the paper's code.
he_uniform = nnx.initializers.variance_scaling(2.0, "fan_avg", "uniform")


class UpBlock(nnx.Module):
    """Residual block of the generator: [n, h, w, in], label int32[n] -> [n, 2h, 2w, out]."""

    def __init__(
        self,
        size: Size,
        inputs: int,
        outputs: int,
        map_classes: int,
        *,
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        layer_args = {"dtype": dtype, "rngs": rngs}
        # TensorFlow's default momentum, which the code of Sage et al. leaves as it is.
        norm = lambda features: layers.batch_norm(features, momentum=0.99, axis_name=axis_name, **layer_args)
        self.norms = nnx.List([norm(inputs), norm(outputs)])
        # He's deviation where a ReLU comes before; Glorot's, the layers' default, in the shortcut.
        self.first = layers.UpConv(size, 3, inputs + map_classes, outputs, init=he_uniform, **layer_args)
        geometry = conv_geometry.same(image_sizes.double(size), 3, 1)
        self.second = layers.Conv(geometry, outputs + map_classes, outputs, init=he_uniform, **layer_args)
        self.shortcut = layers.Conv1x1(inputs, outputs, **layer_args)
        self.map_classes = map_classes

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Normalise, upsample and convolve twice. Training takes batch statistics."""
        normalize = lambda norm, x: nnx.relu(norm(x, use_running_average=not train))
        # Normalisation comes before the activation and the convolution: x itself is passed on unchanged.
        # Labels join after normalisation and activation, and not in the shortcut, as in the code of Sage et al.
        y = self.first(append_label_maps(normalize(self.norms[0], x), label, self.map_classes))
        y = self.second(append_label_maps(normalize(self.norms[1], y), label, self.map_classes))
        # The shortcut convolves before it upsamples: the same result from a quarter of the work.
        return layers.upsample_nearest(self.shortcut(x)) + y


class FromRGB(nnx.Module):
    """First layer of a large critic: image with label maps [n, H, W, in], label int32[n] -> [n, h, w, out]."""

    def __init__(self, geometry: Geometry, inputs: int, outputs: int, **layer_args: Any):
        self.conv = layers.Conv(geometry, inputs, outputs, **layer_args)

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Convolve. The label is not used: the image carries its maps already."""
        return self.conv(x, train=train)


class StemBlock(nnx.Module):
    """First block of a small critic: image with label maps [n, h, w, in], label int32[n] -> [n, h/2, w/2, out]."""

    def __init__(self, size: Size, inputs: int, outputs: int, map_classes: int, **layer_args: Any):
        geometry = conv_geometry.same(size, 3, 1)
        self.first = layers.Conv(geometry, inputs, outputs, init=he_uniform, **layer_args)
        # A convolution and average pooling in one, as a strided convolution with a wider filter.
        self.second = layers.ConvPool(size, outputs + map_classes, outputs, init=he_uniform, **layer_args)
        self.shortcut = layers.Conv1x1(inputs, outputs, **layer_args)
        self.map_classes = map_classes

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Convolve and halve. There is no ReLU before the first convolution: its input is the image."""
        # A ReLU of the image would lose all its dark half.
        y = nnx.relu(self.first(x, train=train))
        y = self.second(append_label_maps(y, label, self.map_classes), train=train)
        # Pooled before the 1 x 1 convolution: the same result from a quarter of the work.
        return self.shortcut(layers.average_pool(x), train=train) + y


class DownBlock(nnx.Module):
    """Residual block of the critic: [n, h, w, in], label int32[n] -> [n, h/2, w/2, out]."""

    def __init__(self, size: Size, inputs: int, outputs: int, map_classes: int, **layer_args: Any):
        geometry = conv_geometry.same(size, 3, 1)
        # The first convolution keeps the channels: the second one, which changes them, has a quarter of the positions.
        self.first = layers.Conv(geometry, inputs + map_classes, inputs, init=he_uniform, **layer_args)
        self.second = layers.ConvPool(size, inputs + map_classes, outputs, init=he_uniform, **layer_args)
        self.shortcut = layers.Conv1x1(inputs, outputs, **layer_args)
        self.map_classes = map_classes

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Convolve twice and halve. Both convolutions see the label."""
        y = self.first(append_label_maps(nnx.relu(x), label, self.map_classes), train=train)
        y = self.second(append_label_maps(nnx.relu(y), label, self.map_classes), train=train)
        return self.shortcut(layers.average_pool(x), train=train) + y


class ResBlock(nnx.Module):
    """Residual block of the critic that keeps the shape: [n, h, w, c], label int32[n] -> [n, h, w, c]."""

    def __init__(self, size: Size, features: int, map_classes: int, **layer_args: Any):
        geometry = conv_geometry.same(size, 3, 1)
        conv = lambda: layers.Conv(geometry, features + map_classes, features, init=he_uniform, **layer_args)
        self.convs = nnx.List([conv() for _ in range(2)])
        self.map_classes = map_classes

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Convolve twice. Both convolutions see the label."""
        y = x
        for layer in self.convs:
            y = layer(append_label_maps(nnx.relu(y), label, self.map_classes), train=train)
        return x + y
