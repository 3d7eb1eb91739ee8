"""The backbone of the text recogniser of PP-OCRv4, trained on lines of text: PP-LCNetV3 (cf. arXiv 2109.15099).

The weights are those of the package rapidocr-onnxruntime, none of whose code is run.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import target
from logogan_jax.metrics import installed_weights
from logogan_jax.networks import folded_conv
from logogan_jax.networks.conv_geometry import NHWC
from logogan_jax.networks.folded_conv import FoldedConv, Layer

SIDE = 48  # pixels: the height of a line of text that the recogniser was trained on
PACKAGE = "rapidocr_onnxruntime"
FILE = "models/ch_PP-OCRv4_rec_infer.onnx"
DIGEST = "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b"  # of the weights that the name stands for
INSTALL = "pip install --no-deps --ignore-requires-python rapidocr-onnxruntime==1.4.4"
CHANNELS = 480  # of the features

# Blocks: side of the filter, strides along height and width, channels.
BLOCKS = (
    (3, (1, 1), 32), (3, (1, 1), 64), (3, (1, 1), 64), (3, (2, 1), 128), (3, (1, 1), 128), (3, (1, 2), 240),
    (5, (1, 1), 240), (5, (1, 1), 240), (5, (1, 1), 240), (5, (1, 1), 240), (5, (2, 1), 480), (5, (1, 1), 480),
    (5, (2, 1), 480), (5, (1, 1), 480),
)  # fmt: skip
STEM = 16  # channels of the first convolution
# Numbers in the names of the file's tensors.
_FIRST = 157  # the first block's first convolution
_EXCITATIONS = {10: 106, 11: 117}  # by block: the first of its two convolutions
_EPSILON = 1e-5  # of the one normalisation that is not folded into its convolution


def weights_file(key: str) -> pathlib.Path:
    """Return the path of the installed weights, without an import of their package.

    Raises UserError if they are not installed; it names the flag or config key `key`.
    """
    return installed_weights.find(key, "ppocr", PACKAGE, FILE, INSTALL)


def fold(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the network's weights as a pytree of float32 arrays, from the file's tensors by name."""
    blocks = []
    channels = STEM
    for i, (kernel, _, out) in enumerate(BLOCKS):
        block: dict[str, Any] = {
            "depthwise": _rescaled_conv(tensors, 2 * i, (kernel, kernel, 1, channels)),
            "pointwise": _rescaled_conv(tensors, 2 * i + 1, (1, 1, channels, out)),
        }
        if i in _EXCITATIONS:
            number = _EXCITATIONS[i]
            block["squeeze"] = _conv(tensors, number, (1, 1, channels, channels // 4))
            block["excite"] = _conv(tensors, number + 1, (1, 1, channels // 4, channels))
        blocks.append(block)
        channels = out
    return {"stem": _stem(tensors), "blocks": blocks}


def _conv(tensors: Mapping[str, np.ndarray], number: int, shape: tuple[int, int, int, int]) -> FoldedConv:
    """Return a convolution: filter [height, width, in, out] and bias [out]."""
    onnx_shape = (shape[3], shape[2], shape[0], shape[1])
    weight = folded_conv.tensor(tensors, f"conv2d_{number}.w_0", onnx_shape)
    return weight.transpose(2, 3, 1, 0), folded_conv.tensor(tensors, f"conv2d_{number}.b_0", shape[3:])


def _rescaled_conv(tensors: Mapping[str, np.ndarray], i: int, shape: tuple[int, int, int, int]) -> dict[str, Any]:
    """Return the i-th convolution of the blocks, with its learned scale folded in, and that of its activation."""
    weight, bias = _conv(tensors, _FIRST + i, shape)
    scale, shift = (folded_conv.tensor(tensors, f"mobile_one_block_{i}.w_{j}", (1,)) for j in range(2))
    after = [folded_conv.tensor(tensors, f"whswish_b_{i + 1}.w_{j}", (1,)) for j in range(2)]
    return {"conv": (weight * scale, bias * scale + shift), "after": tuple(after)}


def _stem(tensors: Mapping[str, np.ndarray]) -> FoldedConv:
    weight = folded_conv.tensor(tensors, "conv2d_10.w_0", (STEM, 3, 3, 3)).transpose(2, 3, 1, 0)
    names = ("w_0", "b_0", "w_1", "w_2")
    scale, bias, mean, variance = (folded_conv.tensor(tensors, f"batch_norm2d_2.{name}", (STEM,)) for name in names)
    scale = scale / np.sqrt(variance + _EPSILON)
    return weight * scale, bias - mean * scale


def apply(weights: dict[str, Any], images: jax.Array) -> jax.Array:
    """Return the features float32[b, 480] of images float32[b, H, W, 3] in 0..255: means over places."""
    x = jax.image.resize(images, (len(images), SIDE, SIDE, 3), "linear")
    x = (x[..., ::-1] - 127.5) / 127.5  # it was trained on BGR
    x = _convolve(x, weights["stem"], (2, 2))
    for (_, strides, _), block in zip(BLOCKS, weights["blocks"], strict=True):
        x = _activate(_convolve(x, block["depthwise"]["conv"], strides), block["depthwise"]["after"])
        if "squeeze" in block:
            x = x * _excitation(x, block)
        x = _activate(_convolve(x, block["pointwise"]["conv"], (1, 1)), block["pointwise"]["after"])
    return folded_conv.global_average(x)


def _convolve(x: jax.Array, layer: Layer, strides: tuple[int, int]) -> jax.Array:
    """Convolve, padded by half a filter on all sides; a filter for one channel is for each channel by itself."""
    weight, bias = layer
    kernel, _, channels, _ = weight.shape
    padding = ((kernel // 2, kernel // 2),) * 2
    if kernel == 1:
        return jnp.einsum("nhwi,io->nhwo", x, weight[0, 0]) + bias
    if channels == 1 and target.is_cpu():  # XLA's CPU backend takes many times as long for grouped convolutions
        out = [(side - 1) // stride * stride + 1 for side, stride in zip(x.shape[1:3], strides, strict=True)]
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        at = lambda i, j: x[:, i : i + out[0] : strides[0], j : j + out[1] : strides[1]]
        return bias + sum(at(i, j) * weight[i, j, 0] for i in range(kernel) for j in range(kernel))
    groups = x.shape[-1] // channels
    return jax.lax.conv_general_dilated(
        x, weight, strides, padding, feature_group_count=groups, dimension_numbers=NHWC
    ) + bias  # fmt: skip


def _activate(x: jax.Array, after: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Hard swish, then a learned scale and shift."""
    scale, shift = after
    return scale * x * jnp.clip(x + 3, 0, 6) / 6 + shift


def _excitation(x: jax.Array, block: dict[str, Any]) -> jax.Array:
    """Return a factor in [0, 1] for each channel, from the means of all channels: [n, h, w, c] -> [n, 1, 1, c]."""
    mean = folded_conv.global_average(x)[:, None, None]
    squeezed = jax.nn.relu(_convolve(mean, block["squeeze"], (1, 1)))
    return jnp.clip(_convolve(squeezed, block["excite"], (1, 1)) / 6 + 0.5, 0, 1)
