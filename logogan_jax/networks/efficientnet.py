"""EfficientNet-Lite0: Tan and Le 2019 (arXiv 1905.11946), without squeeze-and-excitation.

Its weights are published, and nothing here trains them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import target
from logogan_jax.networks import conv_geometry, folded_conv
from logogan_jax.networks.folded_conv import FoldedConv, Layer

# Stages: how many blocks, side of the filter, stride of the first block, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
STEM = 32  # channels of the first convolution
HEAD = 1280  # channels of the last convolution


def fold(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the network's weights as a pytree of float32 arrays, from the package's tensors by name."""
    stem = folded_conv.fold(tensors, "_conv_stem", "_bn0", (3, 3, 3, STEM))
    blocks = []
    channels = STEM
    for repeats, kernel, _, expansion, out in STAGES:
        for _ in range(repeats):
            blocks.append(_block(tensors, f"_blocks.{len(blocks)}.", kernel, expansion, channels, out))
            channels = out
    return {
        "stem": stem,
        "blocks": blocks,
        "head": folded_conv.fold(tensors, "_conv_head", "_bn1", (1, 1, channels, HEAD)),
    }


def _block(
    tensors: Mapping[str, np.ndarray], name: str, kernel: int, expansion: int, channels: int, out: int
) -> dict[str, FoldedConv]:
    wide = channels * expansion
    block = {}
    if expansion > 1:
        block["expand"] = folded_conv.fold(tensors, f"{name}_expand_conv", f"{name}_bn0", (1, 1, channels, wide))
    block["depthwise"] = folded_conv.fold(tensors, f"{name}_depthwise_conv", f"{name}_bn1", (kernel, kernel, 1, wide))
    block["project"] = folded_conv.fold(tensors, f"{name}_project_conv", f"{name}_bn2", (1, 1, wide, out))
    return block


def stages(weights: dict[str, Any], pixels: jax.Array) -> list[jax.Array]:
    """Return the outputs of the seven stages, [b, h, w, c], for images [b, H, W, 3] in 0..255.

    The first has half the sides of the images, and the last a thirty-second part. The arithmetic has the dtype of the
    images and of the weights.
    """
    # XLA's CPU backend takes nine times as long for grouped convolutions as for these sums.
    depthwise = shifted if target.is_cpu() else grouped
    x = _relu6(folded_conv.conv((pixels - 127) / 128, weights["stem"], stride=2))
    blocks = iter(weights["blocks"])
    outputs = []
    for repeats, _, stride, _, _ in STAGES:
        for i in range(repeats):
            x = _inverted_residual(x, next(blocks), depthwise, stride=1 if i else stride)
        outputs.append(x)
    return outputs


def head(weights: dict[str, Any], last: jax.Array) -> jax.Array:
    """Return the features [b, h, w, 1280] for the output of the last stage."""
    return _relu6(_pointwise(last, weights["head"]))


def _inverted_residual(
    x: jax.Array, block: dict[str, Layer], depthwise: Callable[..., jax.Array], *, stride: int
) -> jax.Array:
    """Widen, filter each channel, narrow; add the input where its shape is that of the result."""
    wide = _relu6(_pointwise(x, block["expand"])) if "expand" in block else x
    out = _pointwise(_relu6(depthwise(wide, block["depthwise"], stride=stride)), block["project"])
    # No activation after the narrow layer: with few channels it would lose too much (Sandler et al. 2018).
    return out + x if out.shape == x.shape else out


def _pointwise(x: jax.Array, layer: Layer) -> jax.Array:
    weight, bias = layer
    return jnp.einsum("nhwi,io->nhwo", x, weight[0, 0]) + bias


def shifted(x: jax.Array, layer: Layer, *, stride: int) -> jax.Array:
    """Filter each channel by itself, padded as TensorFlow pads: a weighted sum of shifted copies of the image."""
    weight, bias = layer
    geometry = conv_geometry.same((x.shape[1], x.shape[2]), weight.shape[0], stride)
    x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    rows, columns = ((side - 1) * stride + 1 for side in geometry.out_size)
    places = ((i, j) for i in range(geometry.kernel) for j in range(geometry.kernel))
    return bias + sum(x[:, i : i + rows : stride, j : j + columns : stride] * weight[i, j, 0] for i, j in places)


def grouped(x: jax.Array, layer: Layer, *, stride: int) -> jax.Array:
    """Do what `shifted` does as one convolution in which each channel is a group."""
    weight, bias = layer
    options = {"feature_group_count": x.shape[-1], "dimension_numbers": conv_geometry.NHWC}
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), "SAME", **options) + bias


def _relu6(x: jax.Array) -> jax.Array:
    # The limit is for arithmetic in eight bits, for which the network was made.
    return jnp.clip(x, 0, 6)
