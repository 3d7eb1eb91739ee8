"""The layers that the networks share, with Keras's initialisers: images NHWC, filters [k, k, in, out]."""

import jax.numpy as jnp
from flax import nnx

from logogan_jax import conv as maps
from logogan_jax.parallel import AXIS

glorot_uniform = nnx.initializers.glorot_uniform()


def he_normal(key, shape, dtype=jnp.float32):
    """Normal of deviation sqrt(2 / fan_in), cut off at two deviations and, as in Keras in 2018, not corrected."""
    fan_in = jnp.prod(jnp.array(shape[:-1]))
    return jnp.sqrt(2.0 / fan_in) * nnx.initializers.truncated_normal(stddev=1.0)(key, shape, dtype)


class Conv(nnx.Module):
    """Convolution with bias: [n, H, W, in] -> [n, h, w, out], h and w from the geometry."""

    def __init__(self, geometry, channels_in, channels_out, *, init=glorot_uniform, dtype, rngs):
        shape = (geometry.kernel, geometry.kernel, channels_in, channels_out)
        self.kernel = nnx.Param(init(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(channels_out))
        self.geometry, self.dtype = geometry, dtype

    def __call__(self, x):
        """Convolve in `dtype`."""
        x, kernel, bias = (value.astype(self.dtype) for value in (x, self.kernel[...], self.bias[...]))
        return maps.conv(x, kernel, self.geometry) + bias


class ConvTranspose(nnx.Module):
    """Transposed "same" convolution with bias: [n, h, w, in] -> [n, h*stride, w*stride, out]."""

    def __init__(self, size, kernel, stride, channels_in, channels_out, *, init=glorot_uniform, dtype, rngs):
        self.geometry = maps.same(tuple(side * stride for side in size), kernel, stride)
        self.kernel = nnx.Param(init(rngs.params(), (kernel, kernel, channels_out, channels_in)))
        self.bias = nnx.Param(jnp.zeros(channels_out))
        self.dtype = dtype

    def __call__(self, y):
        """Convolve in `dtype`."""
        y, kernel, bias = (value.astype(self.dtype) for value in (y, self.kernel[...], self.bias[...]))
        return maps.conv_transpose(y, kernel, self.geometry) + bias


def dense(inputs, outputs, *, init=glorot_uniform, dtype, rngs):
    """Fully connected layer with bias: [n, inputs] -> [n, outputs]."""
    return nnx.Linear(inputs, outputs, kernel_init=init, dtype=dtype, rngs=rngs)


def batch_norm(features, *, momentum, dtype, rngs):
    """Batch normalisation over the global batch, Keras's epsilon; statistics and parameters float32."""
    return nnx.BatchNorm(features, momentum=momentum, epsilon=1e-3, dtype=dtype, axis_name=AXIS, rngs=rngs)


def upsample(x):
    """Nearest neighbour to twice the size: [n, h, w, c] -> [n, 2h, 2w, c]."""
    return x.repeat(2, axis=1).repeat(2, axis=2)
