"""The forms in which the three maps of conv.py can be computed.

Layouts: images [n, height, width, channels], filters [k, k, in, out]. Speeds were measured on two CPU cores with
JAX 0.10.2.
"""

import jax
import jax.numpy as jnp
from jax import lax

from logogan_jax.core import target
from logogan_jax.networks.conv_geometry import NHWC, Geometry

Padding = list[tuple[int, int]]

# XLA's CPU backend runs large convolutions without padding several times slower. One row of padding, which is cut off
# again, avoids that path.
_EXTRA_ROW = ((0, 1), (0, 0))


def accumulation_dtype(x: jax.Array) -> jnp.dtype:
    """Return the dtype in which many values of an array are summed: float32 or wider."""
    return jnp.promote_types(x.dtype, jnp.float32)


def direct(x: jax.Array, w: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Convolve x [n, H, W, in] with w [k, k, in, out]."""
    # Where the filter is larger than the image, XLA exchanges the two. Its CPU backend then takes a path that is tens
    # of times slower than one product of patches.
    if w.shape[0] ** 2 > x.shape[1] * x.shape[2] and target.is_cpu():
        return _patches(x, w.shape[0], stride, padding) @ w.reshape(-1, w.shape[3])
    if target.is_cpu() and not any(map(any, padding)):
        out = (x.shape[1] - w.shape[0]) // stride + 1
        return lax.conv_general_dilated(x, w, (stride, stride), _EXTRA_ROW, dimension_numbers=NHWC)[:, :out]
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=NHWC)


def _patches(x: jax.Array, kernel: int, stride: int, padding: Padding) -> jax.Array:
    """Gather what the filter sees at each position: [n, H, W, c] -> [n, h, w, kernel * kernel * c]."""
    # lax.pad, because the padding after a valid convolution may be negative, which jnp.pad refuses.
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)))
    rows, columns = ((side - kernel) // stride * stride + 1 for side in x.shape[1:3])
    taps = [x[:, i : i + rows : stride, j : j + columns : stride] for i in range(kernel) for j in range(kernel)]
    return jnp.concatenate(taps, axis=-1)


def filter_gradient(x: jax.Array, y: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Correlate images [n, H, W, in] with gradients of results [n, h, w, out] -> [k, k, in, out]."""
    # Written out: the result of jax.linear_transpose lacks the type by which shard_map knows what varies.
    layouts = ("CHWN", "IHWO", "HWNC")  # the batch is what a convolution sums over, as it does over channels
    # Neighbours in y belong to places in x that are `stride` pixels apart: so is the dilation.
    return lax.conv_general_dilated(x, y, (1, 1), padding, rhs_dilation=(stride, stride), dimension_numbers=layouts)


def filter_gradient_exchanged(y: jax.Array, x: jax.Array, padding: Padding) -> jax.Array:
    """Compute `filter_gradient` at stride one with y, of few channels, as the image and x as its filter."""
    turned = lax.conv_general_dilated(y, x, (1, 1), padding, dimension_numbers=("CHWN", "IHWO", "HWNC"))
    # With its operands exchanged a correlation gives its result mirrored, and its channels exchanged.
    return jnp.swapaxes(turned[::-1, ::-1], 2, 3)


def dilated(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Compute the transpose as a convolution of y with zeros between its pixels.

    XLA recognises this form on a GPU as cuDNN's backward-data convolution.
    """
    # Written out for the same reason as `filter_gradient`.
    flipped = jnp.swapaxes(w[::-1, ::-1], 2, 3)
    dilation = (geometry.stride, geometry.stride)
    return lax.conv_general_dilated(
        y, flipped, (1, 1), geometry.transposed_padding, lhs_dilation=dilation, dimension_numbers=NHWC
    )


def sub_pixel(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Compute the transpose as undilated convolutions to stride x stride phases, which are then interleaved.

    Output row s * m + a gathers the filter's rows a, a + s, ... from input rows m, m - 1, ... (Shi et al. 2016,
    arXiv 1609.05158). On a CPU it is from equally fast to 20 times as fast as the dilated form.
    """
    stride = geometry.stride
    channels = w.shape[2]
    first = [before // stride for before in geometry.pad_before]
    last = [(before + side - 1) // stride for before, side in zip(geometry.pad_before, geometry.size, strict=True)]

    def convolve_phases(taps: jax.Array) -> jax.Array:
        """Convolve with filters of every stride-th tap: [rows, columns, out, phases * in]."""
        edges = [(taps.shape[axis] - 1 - first[axis], last[axis] - geometry.out_size[axis] + 1) for axis in (0, 1)]
        return direct(y, taps, 1, edges)

    if geometry.kernel % stride:
        # The phases' filters differ in size. Padded to one size they would be more work than a convolution for each.
        turned = jnp.swapaxes(w[::-1, ::-1], 2, 3)
        start = lambda phase: (geometry.kernel - 1 - phase) % stride  # the first tap of a phase in the turned filter
        phases = lambda a: [convolve_phases(turned[start(a) :: stride, start(b) :: stride]) for b in range(stride)]
        full = jnp.stack([jnp.stack(phases(a), 3) for a in range(stride)], 2)
    else:
        full = convolve_phases(_phase_filters(w, stride))
        full = full.reshape(*full.shape[:3], stride, stride, channels).transpose(0, 1, 3, 2, 4, 5)
    height, width = (stop - start + 1 for stop, start in zip(last, first, strict=True))
    full = full.reshape(y.shape[0], height * stride, width * stride, channels)
    top, left = (before - start * stride for before, start in zip(geometry.pad_before, first, strict=True))
    return full[:, top : top + geometry.size[0], left : left + geometry.size[1]]


def _phase_filters(w: jax.Array, stride: int) -> jax.Array:
    """The filters of all phases as one: [k, k, in, out] -> [k / s, k / s, out, s * s * in]."""
    taps = w.shape[0] // stride
    channels, out = w.shape[2:]
    turned = w.reshape(taps, stride, taps, stride, channels, out)[::-1, :, ::-1]
    return turned.transpose(0, 2, 5, 1, 3, 4).reshape(taps, taps, out, stride * stride * channels)


def overlap_add(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Compute the transpose as one product with all taps of the filter, each of which is added where it belongs.

    For results of few channels and for filters larger than the image. On a CPU it is two to six times as fast as the
    other forms.
    """
    kernel = geometry.kernel
    stride = geometry.stride
    channels = w.shape[2]
    # Up to kernel * kernel taps are added to one pixel: float32 until the sum is done.
    taps = jnp.matmul(y, w.reshape(-1, w.shape[3]).T, preferred_element_type=accumulation_dtype(y))
    total = 0
    for tap in range(kernel * kernel):
        edges = []
        for axis, place in enumerate(divmod(tap, kernel)):
            low = place - geometry.pad_before[axis]
            high = geometry.size[axis] - low - (geometry.out_size[axis] - 1) * stride - 1
            edges.append((low, high, stride - 1))
        part = taps[..., tap * channels : (tap + 1) * channels]
        total += lax.pad(part, jnp.zeros((), part.dtype), ((0, 0, 0), *edges, (0, 0, 0)))
    return jnp.asarray(total).astype(y.dtype)
