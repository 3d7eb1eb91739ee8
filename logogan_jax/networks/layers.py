"""The layers that the networks share, with Keras's initialisers: images NHWC, filters [k, k, in, out]."""

import jax.numpy as jnp
from flax import nnx

from logogan_jax.distributed.data_parallel import AXIS
from logogan_jax.networks import conv as maps
from logogan_jax.networks import spectral_norm

glorot_uniform = nnx.initializers.glorot_uniform()


def he_normal(key, shape, dtype=jnp.float32):
    """Normal of deviation sqrt(2 / fan_in), cut off at two deviations and, as in Keras in 2018, not corrected."""
    fan_in = jnp.prod(jnp.array(shape[:-1]))
    return jnp.sqrt(2.0 / fan_in) * nnx.initializers.truncated_normal(stddev=1.0)(key, shape, dtype)


class Weights(nnx.Module):
    """What layers consist of: a kernel [..., in, out], spectrally normalised where asked for, and a bias [out]."""

    def __init__(self, shape, *, init=glorot_uniform, spectral=False, dtype, rngs):
        self.kernel = nnx.Param(init(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(shape[-1]))
        self.singular_vector = spectral_norm.initial_vector(self.kernel[...], rngs=rngs) if spectral else None
        self.dtype = dtype

    def cast(self, x, train):
        """The input and the kernel in `dtype`, and the bias as it is."""
        kernel = spectral_norm.normalize(self.kernel[...], self.singular_vector, train=train)
        return x.astype(self.dtype), kernel.astype(self.dtype), self.bias[...]


def add_bias(y, bias):
    """y [..., out] plus a bias float32[out], in the dtype of y.

    Added in float32, so that the bias's gradient, a sum over all pixels of the batch, is taken in float32, too: XLA
    sums bfloat16 in bfloat16, on GPUs since Hopper as on CPUs, where 400,000 ones come to 8,192.
    """
    return (y + bias).astype(y.dtype)


class Conv(Weights):
    """Convolution with bias: [n, H, W, in] -> [n, h, w, out], h and w from the geometry."""

    def __init__(self, geometry, channels_in, channels_out, **made):
        super().__init__((geometry.kernel, geometry.kernel, channels_in, channels_out), **made)
        self.geometry = geometry

    def __call__(self, x, *, train=False):
        """Convolve in `dtype`; training matters to spectral normalisation alone."""
        x, kernel, bias = self.cast(x, train)
        return add_bias(maps.conv(x, kernel, self.geometry), bias)


class ConvPool(Weights):
    """A 3 x 3 convolution with bias, then the mean of every 2 x 2 pixels: [n, H, W, in] -> [n, H/2, W/2, out].

    Both are one 4 x 4 convolution of stride two, with less than half the work.
    """

    def __init__(self, size, channels_in, channels_out, **made):
        super().__init__((3, 3, channels_in, channels_out), **made)
        self.geometry = maps.same(size, 4, 2)

    def __call__(self, x, *, train=False):
        """Convolve in `dtype`; training matters to spectral normalisation alone."""
        x, kernel, bias = self.cast(x, train)
        return add_bias(maps.conv(x, _four_shifts(kernel) / 4, self.geometry), bias)


class UpConv(Weights):
    """Nearest neighbour to twice the size, then an odd-sided convolution with bias: [n, h, w, in] -> [n, 2h, 2w, out].

    Both are one transposed convolution of stride two, with less than half the work.
    """

    def __init__(self, size, kernel, channels_in, channels_out, **made):
        assert kernel % 2, "an even filter has no middle"
        super().__init__((kernel, kernel, channels_in, channels_out), **made)
        self.geometry = maps.same(double_size(size), kernel + 1, 2)

    def __call__(self, x, *, train=False):
        """Convolve in `dtype`; training matters to spectral normalisation alone."""
        x, kernel, bias = self.cast(x, train)
        turned = _four_shifts(kernel)[::-1, ::-1].swapaxes(2, 3)
        return add_bias(maps.conv_transpose(x, turned, self.geometry), bias)


def _four_shifts(kernel):
    """The sum of a filter [k, k, in, out] in the four corners of [k + 1, k + 1, in, out]."""
    corners = [((row, 1 - row), (column, 1 - column), (0, 0), (0, 0)) for row in (0, 1) for column in (0, 1)]
    return sum(jnp.pad(kernel, corner) for corner in corners)


class Conv1x1(Weights):
    """A 1 x 1 convolution with bias, as a product: [..., in] -> [..., out]."""

    def __init__(self, channels_in, channels_out, **made):
        super().__init__((channels_in, channels_out), **made)

    def __call__(self, x, *, train=False):
        """Multiply in `dtype`; training matters to spectral normalisation alone."""
        x, kernel, bias = self.cast(x, train)
        return add_bias(x @ kernel, bias)


class ConvTranspose(nnx.Module):
    """Transposed "same" convolution with bias: [n, h, w, in] -> [n, h*stride, w*stride, out]."""

    def __init__(self, size, kernel, stride, channels_in, channels_out, *, init=glorot_uniform, dtype, rngs):
        self.geometry = maps.same(tuple(side * stride for side in size), kernel, stride)
        self.kernel = nnx.Param(init(rngs.params(), (kernel, kernel, channels_out, channels_in)))
        self.bias = nnx.Param(jnp.zeros(channels_out))
        self.dtype = dtype

    def cast(self, y):
        """The input and the kernel in `dtype`, and the bias as it is."""
        return y.astype(self.dtype), self.kernel[...].astype(self.dtype), self.bias[...]

    def __call__(self, y):
        """Convolve in `dtype`."""
        y, kernel, bias = self.cast(y)
        return add_bias(maps.conv_transpose(y, kernel, self.geometry), bias)


class UpConvTranspose(ConvTranspose):
    """Nearest neighbour to twice the size, then a transposed convolution with bias: [n, h, w, in] -> [n, 2h, 2w, out].

    Both are one transposed convolution of stride two, with a third of the work.
    """

    def __init__(self, size, kernel, channels_in, channels_out, **made):
        super().__init__(double_size(size), kernel, 1, channels_in, channels_out, **made)
        self.geometry = maps.same(double_size(size), kernel + 1, 2)

    def cast(self, y):
        """The input and the kernel of both together in `dtype`, and the bias as it is."""
        return y.astype(self.dtype), _four_shifts(self.kernel[...]).astype(self.dtype), self.bias[...]


def dense(inputs, outputs, *, init=glorot_uniform, dtype, rngs):
    """Fully connected layer with bias: [n, inputs] -> [n, outputs]."""
    layer = Conv1x1(inputs, outputs, init=init, dtype=dtype, rngs=rngs)
    rngs.params()  # nnx.Linear drew a key for its bias, too: with it later layers start as they always did
    return layer


def batch_norm(features, *, momentum, dtype, rngs):
    """Batch normalisation over the global batch, Keras's epsilon; statistics and parameters float32."""
    return nnx.BatchNorm(features, momentum=momentum, epsilon=1e-3, dtype=dtype, axis_name=AXIS, rngs=rngs)


def double_size(size):
    """(7, 7) -> (14, 14)."""
    return tuple(2 * side for side in size)


def halve_size(size):
    """(14, 14) -> (7, 7)."""
    return tuple(side // 2 for side in size)


def upsample_nearest(x):
    """Nearest neighbour to twice the size: [n, h, w, c] -> [n, 2h, 2w, c]."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def average_pool(x):
    """The mean of every 2 x 2 pixels: [n, 2h, 2w, c] -> [n, h, w, c]."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))
