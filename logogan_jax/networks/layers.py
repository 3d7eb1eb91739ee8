"""Layers that the networks share: images NHWC, filters [k, k, in, out].

Parameters are float32. `dtype` is that of the arithmetic, which `axis_name` and `spectral` refine: the mapped axis of
the replicas, whose statistics are averaged, and spectral normalisation.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import conv, conv_geometry, image_sizes, spectral_norm
from logogan_jax.networks.conv_geometry import Geometry
from logogan_jax.networks.image_sizes import Size

Initializer = Callable[..., jax.Array]  # (key, shape) -> float32[shape]

# Keras's default, with which the walkthrough's layers start.
glorot_uniform = nnx.initializers.glorot_uniform()


def he_normal(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Draw from a normal distribution of deviation sqrt(2 / fan_in), cut off at two deviations (He et al. 2015).

    Keras did not correct the deviation for the cut in 2018, nor does this.
    """
    fan_in = jnp.float32(math.prod(shape[:-1]))
    # JAX's own he_normal corrects it, so its weights are 14 % larger.
    return jnp.sqrt(2.0 / fan_in) * nnx.initializers.truncated_normal(stddev=1.0)(key, shape, dtype)


class WeightLayer(nnx.Module):
    """The parameters of a layer: a kernel [..., in, out] and a bias [out]."""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        init: Initializer = glorot_uniform,
        spectral: bool = False,
        axis_name: str | None = None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        # The kernel draws its key first: the order of draws decides all initial weights.
        self.kernel = nnx.Param(init(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(shape[-1]))
        self.singular_vector = spectral_norm.initial_vector(self.kernel[...], rngs=rngs) if spectral else None
        self.axis_name = axis_name
        self.dtype = dtype

    def cast(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the input and the kernel in `dtype`, and the bias in float32."""
        # Normalised in float32, before the cast: the largest singular value is a sum over the whole kernel.
        kernel = spectral_norm.normalize(self.kernel[...], self.singular_vector, train=train, axis_name=self.axis_name)
        # The parameters themselves stay float32: in bfloat16 small updates would be rounded away.
        return x.astype(self.dtype), kernel.astype(self.dtype), self.bias[...]


def add_bias(y: jax.Array, bias: jax.Array) -> jax.Array:
    """Add a bias float32[out] to y [..., out], and return the dtype of y.

    The sum is float32, so that the bias's gradient, a sum over all pixels of the batch, is also taken in float32. XLA
    sums bfloat16 in bfloat16 on CPUs and on GPUs since Hopper, where 400,000 ones sum to 8,192.
    """
    # Broadcast explicitly: a test forbids that JAX adds axes by itself.
    return (y.astype(bias.dtype) + jnp.broadcast_to(bias, y.shape)).astype(y.dtype)


class Conv(WeightLayer):
    """Convolution with bias: [n, H, W, in] -> [n, h, w, out], sizes from the geometry."""

    def __init__(self, geometry: Geometry, channels_in: int, channels_out: int, **layer_args: Any):
        super().__init__((geometry.kernel, geometry.kernel, channels_in, channels_out), **layer_args)
        self.geometry = geometry

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Convolve. `train` only matters to spectral normalisation."""
        x, kernel, bias = self.cast(x, train)
        return add_bias(conv.conv(x, kernel, self.geometry), bias)


class ConvPool(WeightLayer):
    """A 3 x 3 convolution with bias, then the mean of every 2 x 2 pixels: [n, H, W, in] -> [n, H/2, W/2, out].

    The two are computed as one 4 x 4 convolution of stride two, which is less than half the work.
    """

    def __init__(self, size: Size, channels_in: int, channels_out: int, **layer_args: Any):
        # The parameters are those of the 3 x 3 filter, so initial weights and counts are the paper's.
        super().__init__((3, 3, channels_in, channels_out), **layer_args)
        # The mean of four shifted 3 x 3 filters is one 4 x 4 filter.
        self.geometry = conv_geometry.same(size, 4, 2)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Convolve and pool. `train` only matters to spectral normalisation."""
        x, kernel, bias = self.cast(x, train)
        return add_bias(conv.conv(x, _sum_of_shifts(kernel) / 4, self.geometry), bias)


class UpConv(WeightLayer):
    """Nearest-neighbour upsampling, then an odd-sided convolution with bias: [n, h, w, in] -> [n, 2h, 2w, out].

    The two are computed as one transposed convolution of stride two, which is less than half the work.
    """

    def __init__(self, size: Size, kernel: int, channels_in: int, channels_out: int, **layer_args: Any):
        assert kernel % 2, "an even filter has no middle"
        super().__init__((kernel, kernel, channels_in, channels_out), **layer_args)
        # A repeated pixel meets the filter at four shifts of one pixel, whose sum is one pixel wider.
        self.geometry = conv_geometry.same(image_sizes.double(size), kernel + 1, 2)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Upsample and convolve. `train` only matters to spectral normalisation."""
        x, kernel, bias = self.cast(x, train)
        # A transposed convolution applies its filter mirrored, and takes the channels in the other order.
        turned = _sum_of_shifts(kernel)[::-1, ::-1].swapaxes(2, 3)
        return add_bias(conv.conv_transpose(x, turned, self.geometry), bias)


def _sum_of_shifts(kernel: jax.Array) -> jax.Array:
    """Sum a filter [k, k, in, out] placed into each of the four corners of [k + 1, k + 1, in, out]."""
    corners = [((row, 1 - row), (column, 1 - column), (0, 0), (0, 0)) for row in (0, 1) for column in (0, 1)]
    return jnp.asarray(sum(jnp.pad(kernel, corner) for corner in corners))


class Conv1x1(WeightLayer):
    """A 1 x 1 convolution with bias, as a matrix product: [..., in] -> [..., out]."""

    def __init__(self, channels_in: int, channels_out: int, **layer_args: Any):
        super().__init__((channels_in, channels_out), **layer_args)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Multiply. `train` only matters to spectral normalisation."""
        # Products have products as derivatives of any order, so none of the slow convolutions of conv.py arises.
        x, kernel, bias = self.cast(x, train)
        return add_bias(x @ kernel, bias)


class ConvTranspose(nnx.Module):
    """Transposed "same" convolution with bias: [n, h, w, in] -> [n, h * stride, w * stride, out]."""

    def __init__(
        self,
        size: Size,
        kernel: int,
        stride: int,
        channels_in: int,
        channels_out: int,
        *,
        init: Initializer = glorot_uniform,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.geometry = conv_geometry.same((size[0] * stride, size[1] * stride), kernel, stride)
        # Laid out as `conv` sees it, whose result has the channels of this layer's input.
        self.kernel = nnx.Param(init(rngs.params(), (kernel, kernel, channels_out, channels_in)))
        self.bias = nnx.Param(jnp.zeros(channels_out))
        self.dtype = dtype

    def cast(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the input and the kernel in `dtype`, and the bias in float32."""
        return x.astype(self.dtype), self.kernel[...].astype(self.dtype), self.bias[...]

    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the transposed convolution."""
        x, kernel, bias = self.cast(x)
        return add_bias(conv.conv_transpose(x, kernel, self.geometry), bias)


class UpConvTranspose(ConvTranspose):
    """Nearest-neighbour upsampling, then a transposed convolution with bias: [n, h, w, in] -> [n, 2h, 2w, out].

    The two are computed as one transposed convolution of stride two, which is a third of the work.
    """

    def __init__(self, size: Size, kernel: int, channels_in: int, channels_out: int, **layer_args: Any):
        super().__init__(image_sizes.double(size), kernel, 1, channels_in, channels_out, **layer_args)
        self.geometry = conv_geometry.same(image_sizes.double(size), kernel + 1, 2)

    def cast(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the input and the kernel of both operations together in `dtype`, and the bias in float32."""
        # The shifts are summed in float32, so that the filter is rounded only once.
        return x.astype(self.dtype), _sum_of_shifts(self.kernel[...]).astype(self.dtype), self.bias[...]


def dense(
    inputs: int, outputs: int, *, init: Initializer = glorot_uniform, dtype: DTypeLike, rngs: nnx.Rngs
) -> Conv1x1:
    """Make a fully connected layer with bias: [n, inputs] -> [n, outputs]."""
    layer = Conv1x1(inputs, outputs, init=init, dtype=dtype, rngs=rngs)
    # nnx.Linear also draws a key for its bias. Drawing one here keeps the initial weights of all later layers.
    rngs.params()
    return layer


def batch_norm(
    features: int, *, momentum: float, axis_name: str | None, dtype: DTypeLike, rngs: nnx.Rngs
) -> nnx.BatchNorm:
    """Make batch normalisation over the global batch with Keras's epsilon; parameters and statistics are float32."""
    # Over the global batch, so that the number of devices changes nothing but rounding. Flax takes the statistics in
    # float32 whatever `dtype` is.
    return nnx.BatchNorm(features, momentum=momentum, epsilon=1e-3, dtype=dtype, axis_name=axis_name, rngs=rngs)


def strided_convs(size: Size, channels: int, width: int, kernel: int, **layer_args: Any) -> tuple[nnx.List, int]:
    """Make DCGAN's four convolutions of stride two, with `width` times 1, 2, 4 and 8 features.

    Returns (layers, number of values per image after the last of them).
    """
    # Flax takes lists of layers in this form only.
    convs = nnx.List()
    inputs = channels
    # Sides are halved and features double: each layer after the first is the same work, for half as many activations.
    for features in (width, 2 * width, 4 * width, 8 * width):
        geometry = conv_geometry.same(size, kernel, 2)
        convs.append(Conv(geometry, inputs, features, **layer_args))
        size = geometry.out_size
        inputs = features
    return convs, size[0] * size[1] * inputs


def upsample_nearest(x: jax.Array) -> jax.Array:
    """Repeat every pixel twice along both sides: [n, h, w, c] -> [n, 2h, 2w, c]."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def average_pool(x: jax.Array) -> jax.Array:
    """Average every 2 x 2 pixels: [n, 2h, 2w, c] -> [n, h, w, c]."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))
