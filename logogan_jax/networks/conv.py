"""Convolution as three linear maps that are closed under differentiation.

The automatic derivative of a strided convolution, differentiated again as a gradient penalty does, asks XLA for
convolutions that are dilated on both sides. XLA's CPU backend runs these up to fifty times slower than other
convolutions (on GPUs there are similar cases: jax issues 17464 and 31662). The three maps below are each other's
derivatives, so that derivatives of any order stay among them:

    conv(x, w)               linear in x, whose transpose is conv_transpose, and in w (filter_grad)
    conv_transpose(y, w)     linear in y (conv) and in w (filter_grad)
    filter_grad(x, y)        linear in x (conv_transpose) and in y (conv)

Images are [n, height, width, channels], filters [k, k, in, out] as conv sees them. A `Geometry` holds the static sizes.
On a CPU each map takes the form of conv_forms.py that was measured to be the fastest. On a GPU the choice is left to
XLA, which knows all three as forms of cuDNN's. For a file of ONNX no form has zeros between pixels. flops.py counts the
maps by the names of these functions.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from logogan_jax.core import target
from logogan_jax.networks import conv_forms
from logogan_jax.networks.conv_geometry import Geometry

Map = Callable[[jax.Array, jax.Array, Geometry], jax.Array]

FEW_CHANNELS = 4  # an image with so few channels leaves the vector units of a CPU's convolution mostly empty
# A filter's gradient is summed over pieces of the batch on a CPU: pieces run side by side and stay in the cache.
PIECE_SIZE = 4  # images of a piece; one image where nothing is padded
MAX_PIECES = 32
LARGE_FILTER = 2**19  # weights; a larger filter is summed from two pieces, since every piece holds a copy of it


def _closed_linear_map(function: Map) -> jax.custom_vjp:
    """A map with a derivative rule of its own, which keeps its name in the jaxpr whatever form computes it."""
    # jit keeps what it traced by shapes, whatever the target: core/target.py clears it where the target changes.
    named = jax.jit(function, static_argnums=2)
    rule = jax.custom_vjp(lambda a, b, geometry: named(a, b, geometry), nondiff_argnums=(2,))
    functools.update_wrapper(rule, function)
    return rule


@_closed_linear_map
def conv(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolve x [n, H, W, in] with w [k, k, in, out] -> [n, h, w, out]."""
    if geometry.stride == 1 and w.shape[3] <= FEW_CHANNELS and target.is_cpu():
        # At stride one a convolution is also the transpose of another, with the turned filter.
        turned = jnp.swapaxes(w[::-1, ::-1], 2, 3)
        return conv_forms.overlap_add(x, turned, geometry.transpose())
    return conv_forms.direct(x, w, geometry.stride, geometry.padding)


@_closed_linear_map
def conv_transpose(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Apply the transpose of `conv` in x: y [n, h, w, out], w [k, k, in, out] -> [n, H, W, in]."""
    if target.platform() == "onnx" and geometry.stride > 1:
        # Few programs that read ONNX are fast, or right, where zeros lie between pixels.
        return conv_forms.sub_pixel(y, w, geometry)
    if not target.is_cpu():
        return conv_forms.dilated(y, w, geometry)
    height, width = geometry.out_size
    few_channels = geometry.stride == 1 and w.shape[2] <= FEW_CHANNELS
    if few_channels or geometry.kernel**2 > height * width:
        return conv_forms.overlap_add(y, w, geometry)
    if geometry.stride == 1:
        return conv_forms.dilated(y, w, geometry)
    # Zeros between pixels would be multiplied like others: three of four products wasted at stride two.
    return conv_forms.sub_pixel(y, w, geometry)


@_closed_linear_map
def filter_grad(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """Apply the transpose of `conv` in w: x [n, H, W, in], y [n, h, w, out] -> [k, k, in, out]."""
    if not target.is_cpu():
        return conv_forms.filter_gradient(x, y, geometry.stride, geometry.padding)
    if geometry.stride == 1 and y.shape[3] <= FEW_CHANNELS:
        return conv_forms.filter_gradient_exchanged(y, x, geometry.transposed_padding)
    size = _piece_size(x, y, geometry)
    starts = range(0, len(x), size)
    pieces = ((x[start : start + size], y[start : start + size]) for start in starts)
    parts = (conv_forms.filter_gradient(*piece, geometry.stride, geometry.padding) for piece in pieces)
    total = sum(part.astype(conv_forms.accumulation_dtype(part)) for part in parts)
    # Rounded to the dtype of the arithmetic once, after the sum.
    return jnp.asarray(total).astype(x.dtype)


def _piece_size(x: jax.Array, y: jax.Array, geometry: Geometry) -> int:
    """The number of images in each piece of the batch over which a filter's gradient is summed."""
    if geometry.kernel**2 * x.shape[3] * y.shape[3] > LARGE_FILTER:
        size = len(x) / 2
    else:
        size = PIECE_SIZE if any(map(any, geometry.padding)) else 1
    return math.ceil(max(size, len(x) / MAX_PIECES))


# ── derivatives: each map's cotangents are the other two maps ───────────────────────────────


def _with_residuals(function: jax.custom_vjp) -> Callable:
    # Both inputs are kept, because the cotangent of each needs the other.
    return lambda a, b, geometry: (function(a, b, geometry), (a, b))


def _conv_backward(geometry: Geometry, residuals: tuple, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, w = residuals
    return conv_transpose(dy, w, geometry), filter_grad(x, dy, geometry)


def _conv_transpose_backward(geometry: Geometry, residuals: tuple, dx: jax.Array) -> tuple[jax.Array, jax.Array]:
    y, w = residuals
    return conv(dx, w, geometry), filter_grad(dx, y, geometry)


def _filter_grad_backward(geometry: Geometry, residuals: tuple, dw: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = residuals
    return conv_transpose(y, dw, geometry), conv(x, dw, geometry)


conv.defvjp(_with_residuals(conv), _conv_backward)
conv_transpose.defvjp(_with_residuals(conv_transpose), _conv_transpose_backward)
filter_grad.defvjp(_with_residuals(filter_grad), _filter_grad_backward)
