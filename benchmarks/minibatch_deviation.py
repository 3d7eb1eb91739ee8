"""Run a module of ours that knows a network of the climb: a DCGAN whose critic sees the deviation in its minibatch.

    python benchmarks/minibatch_deviation.py logogan_jax.evaluate --workdir=RUN

Minibatch standard deviation is of Karras et al. 2018 (arXiv 1710.10196), section 3. It is no part of the library,
because what a critic says of an image then depends on the images beside it.
"""

import runpy
import sys

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.networks import NETWORKS, dcgan
from logogan_jax.networks.conditioning import CriticHead
from logogan_jax.networks.image_sizes import Size

NAME = "dcgan_deviation"
GROUP = 4  # images that are compared, as in StyleGAN2


def mean_deviation(x: jax.Array) -> jax.Array:
    """Return of each image how much the images of its group differ: [n, h, w, c] -> [n, 1].

    A group has GROUP images in a row, or fewer where n is no multiple. The number is the mean of the standard
    deviations of all features at all places.
    """
    group = next(size for size in range(GROUP, 0, -1) if len(x) % size == 0)
    groups = x.astype(jnp.float32).reshape(-1, group, *x.shape[1:])
    # As in the authors' code: a root has no gradient at 0.
    deviation = jnp.sqrt(groups.var(1) + 1e-8).mean((1, 2, 3))
    return deviation.repeat(group)[:, None].astype(x.dtype)


class Critic(dcgan.Critic):
    """The critic of `dcgan`, whose last layer sees the deviation, too."""

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        width: int,
        kernel: int,
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        layer_args = {"axis_name": axis_name, "dtype": dtype, "rngs": rngs}
        super().__init__(size=size, channels=channels, width=width, kernel=kernel, dropout=0.0, **layer_args)
        self.out = CriticHead(self.out.kernel[...].shape[0] + 1, outputs=1, classes=0, **layer_args)

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score each image beside those of its group."""
        for layer in self.convs:
            x = nnx.leaky_relu(layer(x, train=train), dcgan.SLOPE)
        features = jnp.concatenate([x.reshape(x.shape[0], -1), mean_deviation(x)], axis=1)
        return self.out(features, label, train=train)


FAMILY = {"generator": dcgan.Generator, "critic": Critic}

if __name__ == "__main__":
    NETWORKS[NAME] = FAMILY
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
