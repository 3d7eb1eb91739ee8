"""Convolution as three linear maps that are closed under differentiation.

Autodiff of a strided convolution, differentiated again as a gradient penalty does, asks XLA for
convolutions dilated on both sides, which its CPU backend runs up to fifty times slower than their
neighbours (GPU relatives: jax issues 17464, 31662). The three maps below are each other's
derivatives, so every order of reverse-mode derivative stays among them:

    conv(x, w)          linear in x, whose transpose is conv_transpose, and in w (filter_grad)
    conv_transpose(y, w)     linear in y (conv) and in w (filter_grad)
    filter_grad(x, y)        linear in x (conv_transpose) and in y (conv)

Layout: images are [n, height, width, channels], filters [k, k, in, out] as conv sees them.
`Geometry` says everything static about one convolution. Each map is computed in the form that was measured to be the
fastest on the backend; on a GPU that is left to XLA, which knows all three as forms of cuDNN's.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

NHWC = ("NHWC", "HWIO", "NHWC")
# What XLA's CPU backend is helped with, each form measured there with JAX 0.10.2.
_SPARE = ((0, 1), (0, 0))  # a row, to be cut off again: it runs large ones that pad nothing several times slower
# Filter gradients are added up from pieces of the batch, which run side by side and stay in the cache: of so many
# images, of one where nothing is padded, at most so many pieces, and but two where the filters' numbers are more.
PIECE, PIECES, LARGE = 4, 32, 2**19
FEW = 4  # channels of an image, at most: too few for a CPU's convolution to keep its vectors full


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
    if g.stride == 1 and w.shape[3] <= FEW and _on_cpu():
        turned = jnp.swapaxes(w[::-1, ::-1], 2, 3)  # at stride one a convolution is another's transpose
        return _overlap_add(x, turned, Geometry(g.out, g.kernel, 1, tuple(g.kernel - 1 - b for b in g.before), g.size))
    return _convolve(x, w, g.stride, [(g.before[axis], g.after(axis)) for axis in (0, 1)])


@_linear
def conv_transpose(y, w, geometry):
    """Transpose of `conv` in x: y [n, h, w, out], w [k, k, in, out] -> [n, H, W, in]."""
    g = geometry
    if not _on_cpu():
        return _dilated(y, w, g)
    if (g.stride == 1 and w.shape[2] <= FEW) or g.kernel**2 > g.out[0] * g.out[1]:
        return _overlap_add(y, w, g)
    return _dilated(y, w, g) if g.stride == 1 else _sub_pixel(y, w, g)


@_linear
def filter_grad(x, y, geometry):
    """Transpose of `conv` in w: x [n, H, W, in], y [n, h, w, out] -> [k, k, in, out]."""
    g = geometry
    if g.stride == 1 and y.shape[3] <= FEW and _on_cpu():
        return _correlated(y, x, [(g.kernel - 1 - g.before[axis], g.kernel - 1 - g.after(axis)) for axis in (0, 1)])
    padding = [(g.before[axis], g.after(axis)) for axis in (0, 1)]
    if not _on_cpu():
        return _filters(x, y, g.stride, padding)
    large = g.kernel**2 * x.shape[3] * y.shape[3] > LARGE
    size = len(x) / 2 if large else PIECE if any(map(any, padding)) else 1
    size = math.ceil(max(size, len(x) / PIECES))
    each = (_filters(x[i : i + size], y[i : i + size], g.stride, padding) for i in range(0, len(x), size))
    return sum(part.astype(_wide(part)) for part in each).astype(x.dtype)


def _wide(x):
    """The dtype in which many of an array's numbers are added up."""
    return jnp.promote_types(x.dtype, jnp.float32)


def _on_cpu():
    return jax.default_backend() == "cpu"


def _convolve(x, w, stride, padding):
    # Where the filter is larger than the image, XLA swaps the two, and its CPU backend then takes
    # a path tens of times slower than the same work as one product of patches.
    if w.shape[0] ** 2 > x.shape[1] * x.shape[2] and _on_cpu():
        return _patches(x, w.shape[0], stride, padding) @ w.reshape(-1, w.shape[3])
    if _on_cpu() and not any(map(any, padding)):
        out = (x.shape[1] - w.shape[0]) // stride + 1
        return lax.conv_general_dilated(x, w, (stride, stride), _SPARE, dimension_numbers=NHWC)[:, :out]
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=NHWC)


def _filters(x, y, stride, padding):
    return lax.conv_general_dilated(
        x, y, (1, 1), padding, rhs_dilation=(stride, stride), dimension_numbers=("CHWN", "IHWO", "HWNC")
    )


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
    """The same map as undilated convolutions to stride x stride phases, then interleaved.

    Output row s*m + a gathers filter rows a, a + s, ... from input rows m, m - 1, ...; measured on a 2-core CPU it is
    from equally fast to 20 times as fast as the dilated form.
    """
    s, n, channels = g.stride, y.shape[0], w.shape[2]
    first = [before // s for before in g.before]
    last = [(before + side - 1) // s for before, side in zip(g.before, g.size, strict=True)]

    def phases(w):
        """The convolution with filters that see every s-th tap: [rows, columns, out, phases * in]."""
        edges = [(w.shape[axis] - 1 - first[axis], last[axis] - g.out[axis] + 1) for axis in (0, 1)]
        return _convolve(y, w, 1, edges)

    if g.kernel % s:  # filters of one size would be padded with zeros: a convolution for each phase has less work
        turned = jnp.swapaxes(w[::-1, ::-1], 2, 3)
        skip = lambda a: (g.kernel - 1 - a) % s  # a phase's taps, in the turned filter
        rows = [jnp.stack([phases(turned[skip(a) :: s, skip(b) :: s]) for b in range(s)], 3) for a in range(s)]
        full = jnp.stack(rows, 2)
    else:
        t = g.kernel // s
        turned = w.reshape(t, s, t, s, channels, w.shape[3])[::-1, :, ::-1]
        full = phases(turned.transpose(0, 2, 5, 1, 3, 4).reshape(t, t, w.shape[3], s * s * channels))
        full = full.reshape(*full.shape[:3], s, s, channels).transpose(0, 1, 3, 2, 4, 5)
    height, width = (e - f + 1 for e, f in zip(last, first, strict=True))
    full = full.reshape(n, height * s, width * s, channels)
    top, left = (before - f * s for before, f in zip(g.before, first, strict=True))
    return full[:, top : top + g.size[0], left : left + g.size[1]]


def _overlap_add(y, w, g):
    """The same map as one product with all taps of the filter, each of which is then added where it belongs.

    For results of few channels, and for filters larger than the image: on a 2-core CPU two to six times as fast as
    the other forms.
    """
    k, s, channels = g.kernel, g.stride, w.shape[2]
    taps, total = jnp.matmul(y, w.reshape(-1, w.shape[3]).T, preferred_element_type=_wide(y)), 0
    for tap in range(k * k):
        edges = []
        for axis, at in enumerate(divmod(tap, k)):
            low = at - g.before[axis]
            edges.append((low, g.size[axis] - low - (g.out[axis] - 1) * s - 1, s - 1))
        part = taps[..., tap * channels : (tap + 1) * channels]
        total += lax.pad(part, jnp.zeros((), part.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    return total.astype(y.dtype)


def _correlated(y, x, padding):
    """Filter gradient at stride one with the roles exchanged: few channels of y as the image, x as its filter."""
    turned = lax.conv_general_dilated(y, x, (1, 1), padding, dimension_numbers=("CHWN", "IHWO", "HWNC"))
    return jnp.swapaxes(turned[::-1, ::-1], 2, 3)


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
