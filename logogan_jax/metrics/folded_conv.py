"""Convolutions of a published network, their batch normalisation folded in when the weights are read."""

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.networks.conv_geometry import NHWC

EPSILON = 1e-3  # of the normalisation, in both networks


def fold(tensors, convolution, normalisation, shape):
    """(filter float32[*shape], bias float32[out]) of a convolution and the normalisation that follows it.

    `tensors` are a PyTorch network's by name, whose filters are [out, in, height, width]; `shape` is
    (height, width, in, out). ValueError where the tensors are others.
    """
    wanted = (shape[3], shape[2], shape[0], shape[1])
    weight = tensor(tensors, f"{convolution}.weight", wanted).astype(np.float64)
    names = ("weight", "bias", "running_mean", "running_var")
    scale, bias, mean, variance = (tensor(tensors, f"{normalisation}.{name}", shape[3:]) for name in names)
    scale = scale / np.sqrt(variance.astype(np.float64).clip(0) + EPSILON)
    folded = (weight.transpose(2, 3, 1, 0) * scale).astype(np.float32), (bias - mean * scale).astype(np.float32)
    if not all(np.isfinite(part).all() for part in folded):
        raise ValueError(f"{convolution} is not finite")
    return folded


def tensor(tensors, name, shape):
    """The tensor of a name, which should have that shape; ValueError otherwise."""
    if name not in tensors or tensors[name].shape != tuple(shape):
        found = f"its shape is {tensors[name].shape}" if name in tensors else "there is none"
        raise ValueError(f"{name} should have the shape {tuple(shape)} and {found}")
    return tensors[name]


def conv(x, layer, *, stride=1, padding="SAME"):
    """Convolve, float32 [n, H, W, in] -> [n, h, w, out], given (filter, bias)."""
    weight, bias = layer
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), padding, dimension_numbers=NHWC) + bias


def pooled(x):
    """Mean over places, [n, h, w, c] -> [n, c]."""
    return jnp.mean(x, axis=(1, 2))
