"""Convolutions of a published network, their batch normalisation folded in when the weights are read."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.networks.conv_geometry import NHWC

EPSILON = 1e-3  # of the normalisation, in both networks

# Filter float32[height, width, in, out], bias float32[out].
FoldedConv = tuple[np.ndarray, np.ndarray]
Layer = tuple[jax.Array, jax.Array]


def fold(
    tensors: Mapping[str, np.ndarray], convolution: str, normalisation: str, shape: tuple[int, int, int, int]
) -> FoldedConv:
    """Fold a normalisation into the convolution before it.

    `tensors` are a PyTorch network's by name, whose filters are [out, in, height, width]; `shape` is
    (height, width, in, out). Raises ValueError if a tensor is missing, has another shape or is not finite.

    Returns:
        The filter float32[*shape] and the bias float32[out].
    """
    torch_shape = (shape[3], shape[2], shape[0], shape[1])
    weight = tensor(tensors, f"{convolution}.weight", torch_shape).astype(np.float64)
    names = ("weight", "bias", "running_mean", "running_var")
    scale, bias, mean, variance = (tensor(tensors, f"{normalisation}.{name}", shape[3:]) for name in names)
    scale = scale / np.sqrt(variance.astype(np.float64).clip(0) + EPSILON)
    folded_weight = (weight.transpose(2, 3, 1, 0) * scale).astype(np.float32)
    folded_bias = (bias - mean * scale).astype(np.float32)
    if not (np.isfinite(folded_weight).all() and np.isfinite(folded_bias).all()):
        raise ValueError(f"{convolution} is not finite")
    return folded_weight, folded_bias


def tensor(tensors: Mapping[str, np.ndarray], name: str, shape: Sequence[int]) -> np.ndarray:
    """Return the tensor of a name; raise ValueError if it is missing or has another shape."""
    if name not in tensors or tensors[name].shape != tuple(shape):
        problem = f"its shape is {tensors[name].shape}" if name in tensors else "there is none"
        raise ValueError(f"{name} should have the shape {tuple(shape)} and {problem}")
    return tensors[name]


def conv(x: jax.Array, layer: Layer, *, stride: int = 1, padding: str = "SAME") -> jax.Array:
    """Convolve float32[n, H, W, in] -> float32[n, h, w, out]."""
    weight, bias = layer
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), padding, dimension_numbers=NHWC) + bias


def global_average(x: jax.Array) -> jax.Array:
    """Return the mean over places, [n, h, w, c] -> [n, c]."""
    return jnp.mean(x, axis=(1, 2))
