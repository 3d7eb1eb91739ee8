"""The Inception-v3 of 2015-12-05 by which FID is measured: Heusel et al. 2017 (arXiv 1706.08500), appendix A1.

Its features are those of torch-fidelity and pytorch-fid, and its weights the file that both publish. Three things
differ from torchvision's network: average pooling does not count its padding, the last block takes the maximum
where the others average, and images are resized as TensorFlow 1 did.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.networks import folded_conv
from logogan_jax.networks.folded_conv import FoldedConv, Layer

SIDE = 299
FILE = "pt_inception-2015-12-05-6726825d.pth"
CLASSES = 1008  # torchvision's network, trained anew, has the same names and 1000

# Sides of filters.
_ONE = (1, 1)
_THREE = (3, 3)
_FIVE = (5, 5)
_ROW = (1, 7)
_COLUMN = (7, 1)


def fold(tensors: Mapping[str, np.ndarray]) -> dict[str, FoldedConv]:
    """Return the network's weights, {name: (filter, bias)} in float32, from the published tensors by name."""
    folded_conv.tensor(tensors, "fc.weight", (CLASSES, 2048))
    weights = {}

    # A walk over shapes alone finds out which layers there are, and how many channels go into each.
    def fold_layer(x: jax.Array, name: str, kernel: tuple[int, int], out: int, **options: Any) -> jax.Array:
        weights[name] = folded_conv.fold(tensors, f"{name}.conv", f"{name}.bn", (*kernel, x.shape[-1], out))
        return folded_conv.conv(x, weights[name], **options)

    jax.eval_shape(functools.partial(_network, layer=fold_layer), jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32))
    return weights


def apply(weights: dict[str, Layer], images: jax.Array) -> jax.Array:
    """Return the features float32[b, 2048] of images float32[b, H, W, 3] in 0..255: means over the last block."""

    def layer(x: jax.Array, name: str, kernel: tuple[int, int], out: int, **options: Any) -> jax.Array:
        return jax.nn.relu(folded_conv.conv(x, weights[name], **options))

    return folded_conv.global_average(_network((resized(images, SIDE) - 128) / 128, layer))


def resized(images: jax.Array, side: int) -> jax.Array:
    """Resize images [b, H, W, c] -> [b, side, side, c] linearly, with pixels at their top left corners."""
    for axis in (2, 1):
        count = images.shape[axis]
        place = np.arange(side, dtype=np.float32) * np.float32(count / side)
        low = place.astype(np.int32)
        share = (place - low).reshape(-1, *[1] * (3 - axis))
        before, after = (jnp.take(images, at, axis=axis) for at in (low, np.minimum(low + 1, count - 1)))
        images = before + (after - before) * share
    return images


def _network(x: jax.Array, layer: Callable[..., jax.Array]) -> jax.Array:
    x = layer(x, "Conv2d_1a_3x3", _THREE, 32, stride=2, padding="VALID")
    x = layer(x, "Conv2d_2a_3x3", _THREE, 32, padding="VALID")
    x = _largest(layer(x, "Conv2d_2b_3x3", _THREE, 64), stride=2)
    x = layer(x, "Conv2d_3b_1x1", _ONE, 80)
    x = _largest(layer(x, "Conv2d_4a_3x3", _THREE, 192, padding="VALID"), stride=2)
    blocks = {
        "Mixed_5b": (_squares, 32), "Mixed_5c": (_squares, 64), "Mixed_5d": (_squares, 64), "Mixed_6a": (_smaller,),
        "Mixed_6b": (_strips, 128), "Mixed_6c": (_strips, 160), "Mixed_6d": (_strips, 160), "Mixed_6e": (_strips, 192),
        "Mixed_7a": (_smallest,), "Mixed_7b": (_forks, _average), "Mixed_7c": (_forks, _largest),
    }  # fmt: skip
    for name, (block, *values) in blocks.items():
        branches = block(x, functools.partial(_chain, layer, name), *values)
        x = jnp.concatenate(branches, axis=-1)
    return x


def _chain(
    layer: Callable[..., jax.Array], block: str, x: jax.Array, branch: str, *steps: tuple, **last: Any
) -> jax.Array:
    """Apply the layers (kernel, out) of one branch in order; `last` are options of the last layer."""
    for number, (kernel, out) in enumerate(steps, 1):
        name = f"{block}.{branch}" if len(steps) == 1 else f"{block}.{branch}_{number}"
        x = layer(x, name, kernel, out, **(last if number == len(steps) else {}))
    return x


def _squares(x, chain, pooled):
    return (
        chain(x, "branch1x1", (_ONE, 64)),
        chain(x, "branch5x5", (_ONE, 48), (_FIVE, 64)),
        chain(x, "branch3x3dbl", (_ONE, 64), (_THREE, 96), (_THREE, 96)),
        chain(_average(x), "branch_pool", (_ONE, pooled)),
    )


def _smaller(x, chain):
    half = {"stride": 2, "padding": "VALID"}
    return (
        chain(x, "branch3x3", (_THREE, 384), **half),
        chain(x, "branch3x3dbl", (_ONE, 64), (_THREE, 96), (_THREE, 96), **half),
        _largest(x, stride=2),
    )


def _strips(x, chain, wide):
    return (
        chain(x, "branch1x1", (_ONE, 192)),
        chain(x, "branch7x7", (_ONE, wide), (_ROW, wide), (_COLUMN, 192)),
        chain(x, "branch7x7dbl", (_ONE, wide), (_COLUMN, wide), (_ROW, wide), (_COLUMN, wide), (_ROW, 192)),
        chain(_average(x), "branch_pool", (_ONE, 192)),
    )


def _smallest(x, chain):
    half = {"stride": 2, "padding": "VALID"}
    return (
        chain(x, "branch3x3", (_ONE, 192), (_THREE, 320), **half),
        chain(x, "branch7x7x3", (_ONE, 192), (_ROW, 192), (_COLUMN, 192), (_THREE, 192), **half),
        _largest(x, stride=2),
    )


def _forks(x, chain, pool):
    square = chain(x, "branch3x3_1", (_ONE, 384))
    double = chain(chain(x, "branch3x3dbl_1", (_ONE, 448)), "branch3x3dbl_2", (_THREE, 384))
    return (
        chain(x, "branch1x1", (_ONE, 320)),
        chain(square, "branch3x3_2a", ((1, 3), 384)),
        chain(square, "branch3x3_2b", ((3, 1), 384)),
        chain(double, "branch3x3dbl_3a", ((1, 3), 384)),
        chain(double, "branch3x3dbl_3b", ((3, 1), 384)),
        chain(pool(x), "branch_pool", (_ONE, 192)),
    )


def _largest(x: jax.Array, stride: int = 1) -> jax.Array:
    """Return the maximum over 3 x 3 places; with stride 1 over those that are in the image."""
    padding = "SAME" if stride == 1 else "VALID"
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, stride, stride, 1), padding)


def _average(x: jax.Array) -> jax.Array:
    """Return the mean over those of 3 x 3 places that are in the image."""
    total, count = (
        jax.lax.reduce_window(part, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
        for part in (x, jnp.ones((1, *x.shape[1:3], 1)))
    )
    return total / count
