"""Convolution as three linear maps that are closed under differentiation.

Autodiff of a strided convolution, differentiated again as a gradient penalty does, asks XLA for
convolutions dilated on both sides, which its CPU backend runs up to fifty times slower than their
neighbours (GPU relatives: jax issues 17464, 31662). The three maps below are each other's
derivatives, so every order of reverse-mode derivative stays among them:

    conv(x, w)          linear in x, whose transpose is conv_transpose, and in w (filter_grad)
    conv_transpose(y, w)     linear in y (conv) and in w (filter_grad)
    filter_grad(x, y)        linear in x (conv_transpose) and in y (conv)

Layout: images are [n, height, width, channels], filters [k, k, in, out] as conv sees them.
`Geometry` says everything static about one convolution.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

NHWC = ("NHWC", "HWIO", "NHWC")


class Geometry(NamedTuple):
    """One convolution: input height and width, kernel side, stride, padding before each axis, output."""

    size: tuple[int, int]
    kernel: int
    stride: int
    before: tuple[int, int]
    out: tuple[int, int]

    def after(self, axis):
        """Padding behind an axis (negative where a valid convolution leaves pixels unread)."""
        return (self.out[axis] - 1) * self.stride + self.kernel - self.size[axis] - self.before[axis]


def same(size, kernel, stride):
    """Geometry with out = ceil(size / stride), padded as TensorFlow and Keras pad: less in front."""
    out = tuple(-(-side // stride) for side in size)
    total = [max((o - 1) * stride + kernel - side, 0) for o, side in zip(out, size, strict=True)]
    return Geometry(tuple(size), kernel, stride, (total[0] // 2, total[1] // 2), out)


def valid(size, kernel, stride):
    """Geometry without padding."""
    out = tuple((side - kernel) // stride + 1 for side in size)
    return Geometry(tuple(size), kernel, stride, (0, 0), out)


def _linear(function):
    """A map with derivatives of its own, called by its name in a program's jaxpr, whatever form it is computed in."""
    named = jax.jit(function, static_argnums=2)
    return functools.wraps(function)(jax.custom_vjp(lambda a, b, geometry: named(a, b, geometry), nondiff_argnums=(2,)))


@_linear
def conv(x, w, geometry):
    """Convolve: x [n, H, W, in], w [k, k, in, out] -> [n, h, w, out] of the promoted dtype."""
    g = geometry
    return _convolve(x, w, g.stride, [(g.before[axis], g.after(axis)) for axis in (0, 1)])


@_linear
def conv_transpose(y, w, geometry):
    """Transpose of `conv` in x: y [n, h, w, out], w [k, k, in, out] -> [n, H, W, in]."""
    if geometry.stride > 1 and jax.default_backend() == "cpu":
        return _sub_pixel(y, w, geometry)
    return _dilated(y, w, geometry)


@_linear
def filter_grad(x, y, geometry):
    """Transpose of `conv` in w: x [n, H, W, in], y [n, h, w, out] -> [k, k, in, out]."""
    g = geometry
    padding = [(g.before[axis], g.after(axis)) for axis in (0, 1)]
    return lax.conv_general_dilated(
        x, y, (1, 1), padding, rhs_dilation=(g.stride, g.stride), dimension_numbers=("CHWN", "IHWO", "HWNC")
    )


def _convolve(x, w, stride, padding):
    # Where the filter is larger than the image, XLA swaps the two, and its CPU backend then takes
    # a path tens of times slower than the same work as one product of patches.
    if w.shape[0] ** 2 > x.shape[1] * x.shape[2] and jax.default_backend() == "cpu":
        return _patches(x, w.shape[0], stride, padding) @ w.reshape(-1, w.shape[3])
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=NHWC)


def _patches(x, kernel, stride, padding):
    """What the filter sees at each place: [n, H, W, c] -> [n, h, w, kernel*kernel*c]."""
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)))
    rows, columns = ((side - kernel) // stride * stride + 1 for side in x.shape[1:3])
    taps = [x[:, i : i + rows : stride, j : j + columns : stride] for i in range(kernel) for j in range(kernel)]
    return jnp.concatenate(taps, axis=-1)


def _dilated(y, w, g):
    # XLA on a GPU recognises this form as cuDNN's backward-data convolution.
    padding = [(g.kernel - 1 - g.before[axis], g.kernel - 1 - g.after(axis)) for axis in (0, 1)]
    flipped = jnp.swapaxes(w[::-1, ::-1], 2, 3)
    return lax.conv_general_dilated(
        y, flipped, (1, 1), padding, lhs_dilation=(g.stride, g.stride), dimension_numbers=NHWC
    )


def _sub_pixel(y, w, g):
    """The same map as one undilated convolution to stride x stride phases, then interleaved.

    Output row s*m + a gathers filter rows a, a + s, ... from input rows m, m - 1, ...; measured
    on a 2-core CPU it is from equally fast to 20 times as fast as the dilated form.
    """
    s, taps = g.stride, -(-g.kernel // g.stride)
    n, channels = y.shape[0], w.shape[2]
    grow = taps * s - g.kernel
    phases = jnp.pad(w, ((0, grow), (0, grow), (0, 0), (0, 0)))
    phases = phases.reshape(taps, s, taps, s, channels, w.shape[3])[::-1, :, ::-1]
    phases = phases.transpose(0, 2, 5, 1, 3, 4).reshape(taps, taps, w.shape[3], s * s * channels)
    first = [before // s for before in g.before]
    last = [(before + side - 1) // s for before, side in zip(g.before, g.size, strict=True)]
    padding = [(taps - 1 - f, e - (o - 1)) for f, e, o in zip(first, last, g.out, strict=True)]
    full = _convolve(y, phases, 1, padding)
    height, width = full.shape[1:3]
    full = full.reshape(n, height, width, s, s, channels).transpose(0, 1, 3, 2, 4, 5)
    full = full.reshape(n, height * s, width * s, channels)
    top, left = (before - f * s for before, f in zip(g.before, first, strict=True))
    return full[:, top : top + g.size[0], left : left + g.size[1]]


def _saved(function):
    return lambda a, b, geometry: (function(a, b, geometry), (a, b))


def _conv_back(geometry, saved, dy):
    x, w = saved
    return conv_transpose(dy, w, geometry), filter_grad(x, dy, geometry)


def _conv_transpose_back(geometry, saved, dx):
    y, w = saved
    return conv(dx, w, geometry), filter_grad(dx, y, geometry)


def _filter_grad_back(geometry, saved, dw):
    x, y = saved
    return conv_transpose(y, dw, geometry), conv(x, dw, geometry)


conv.defvjp(_saved(conv), _conv_back)
conv_transpose.defvjp(_saved(conv_transpose), _conv_transpose_back)
filter_grad.defvjp(_saved(filter_grad), _filter_grad_back)
