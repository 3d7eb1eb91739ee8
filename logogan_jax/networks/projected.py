"""The critic of Projected GAN: Sauer et al. 2021 (arXiv 2111.01007).

A published network that is never trained looks at the images. Four of its stages are mixed by random filters that are
not trained either: across channels by 1 x 1 convolutions, then across scales from the coarsest to the finest. Of each
mixture one head is trained, so the critic has four outputs, each a map of scores.

The paper's network is EfficientNet-Lite1 at 256 pixels; here it is EfficientNet-Lite0. Its heads normalise their
batch, so real and generated images must be scored apart. The generator is the DCGAN's, which like the paper's FastGAN
doubles the size by convolutions with batch normalisation.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.core.errors import UserError
from logogan_jax.networks import conv_geometry, efficientnet, folded_conv, layers
from logogan_jax.networks.conditioning import check_method, require_label
from logogan_jax.networks.image_sizes import Size

STAGES = (1, 2, 4, 6)  # of EfficientNet, at a quarter, an eighth, a sixteenth and a thirty-second part of the sides
HEADS = len(STAGES)
CHANNELS = tuple(efficientnet.STAGES[stage][-1] for stage in STAGES)
LAST_SIDE = 4  # pixels of a map of scores, at most
SLOPE = 0.2  # of leaky ReLU


class FrozenWeight(nnx.Variable):
    """An array that is part of a network and is not trained."""


class FrozenLayer(nnx.Module):
    """A filter [k, k, in, out] and a bias [out] that are not trained."""

    def __init__(self, weight: jax.Array, bias: jax.Array):
        self.weight = FrozenWeight(jnp.asarray(weight))
        self.bias = FrozenWeight(jnp.asarray(bias))

    def cast(self, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
        """Return the filter and the bias in `dtype`."""
        return self.weight[...].astype(dtype), self.bias[...].astype(dtype)


class Head(nnx.Module):
    """Maps [n, h, w, c], label int32[n] -> scores float32[n, places].

    Convolutions of stride two halve the maps until no side is longer than `last_side`. With labels each score is that
    of its place plus the inner product of the place's features and a learned vector of the label (projection).
    """

    def __init__(
        self,
        size: Size,
        features: int,
        *,
        last_side: int,
        most_features: int,
        classes: int,
        axis_name: str | None,
        **layer_args: Any,
    ):
        self.convs = nnx.List()
        self.norms = nnx.List()
        weights = {"spectral": True, "axis_name": axis_name, **layer_args}
        # Scores of places, not of the whole image: each place is a sample of its own, which a small data set needs.
        while max(size) > last_side:
            geometry = conv_geometry.same(size, 4, 2)
            wider = min(2 * features, most_features)
            self.convs.append(layers.Conv(geometry, features, wider, **weights))
            self.norms.append(layers.batch_norm(wider, momentum=0.9, axis_name=axis_name, **layer_args))
            features = wider
            size = geometry.out_size
        self.out = layers.Conv(conv_geometry.same(size, 3, 1), features, 1, **weights)
        self.label_vectors = layers.Conv1x1(classes, features, **weights) if classes else None

    def __call__(self, x: jax.Array, label: jax.Array | None, *, train: bool) -> jax.Array:
        """Score each place of the last map."""
        for layer, norm in zip(self.convs, self.norms, strict=True):
            x = nnx.leaky_relu(norm(layer(x, train=train), use_running_average=not train), SLOPE)
        # No activation after the last layer: the hinge loss takes any number.
        scores = self.out(x, train=train)[..., 0].astype(jnp.float32)
        if self.label_vectors is not None:
            one_hot = jax.nn.one_hot(require_label(label), self.label_vectors.kernel.shape[0])
            vectors = self.label_vectors(one_hot, train=train)[:, None, None]
            scores += jnp.sum((x * vectors).astype(jnp.float32), -1)
        return scores.reshape(len(x), -1)


class Critic(nnx.Module):
    """Images float32[n, H, W, 1|3] in [-1, 1], label int32[n] -> scores float32[n, 4, places]."""

    LAYERS = ()  # all of its layers but the heads are frozen anyway

    def __init__(
        self,
        *,
        size: Size,
        channels: int,
        classes: int = 0,
        outputs: int = 1,
        mixed_width: int = 64,
        feature_side: int = 224,
        conditioning: str = "projection",
        feature_weights: dict[str, Any],
        axis_name: str | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        """Make the critic.

        Args:
            size: of the images.
            channels: of the images.
            classes: number of labels, or 0.
            outputs: must be 4, a map of scores of each head.
            mixed_width: channels of the finest mixture; each coarser one has twice as many.
            feature_side: side in pixels to which the longer side of the images is scaled for EfficientNet.
            conditioning: on labels.
            feature_weights: of EfficientNet-Lite0, as `efficientnet.fold` returns them.
            axis_name: of the replicas.
            dtype: of the arithmetic.
            rngs: source of first weights.
        """
        _check(channels, outputs, mixed_width, feature_side)
        check_method(conditioning, ("projection",))
        height, width = (max(round(side * feature_side / max(size)), 1) for side in size)
        self.seen_size = (height, width)
        self.dtype = dtype
        # The published network's own last layer, its head, is not used.
        read = {"stem": feature_weights["stem"], "blocks": feature_weights["blocks"]}
        frozen = jax.tree.map(lambda pair: FrozenLayer(*pair), read, is_leaf=lambda node: isinstance(node, tuple))
        self.network = nnx.data(frozen)
        sizes = stage_sizes(self.seen_size)
        widths = [mixed_width * 2**level for level in range(HEADS)]
        # Random filters mix what EfficientNet keeps apart, so that no head can live on a few of its channels (section
        # 3.2 of the paper). They are not trained, so the heads cannot undo them.
        self.across_channels = nnx.List([_random_layer(1, *pair, rngs) for pair in zip(CHANNELS, widths, strict=True)])
        self.across_scales = nnx.List(
            [_random_layer(3, coarse, fine, rngs) for fine, coarse in itertools.pairwise(widths)]
        )
        # The same for all, so that all have as many scores.
        last_side = min(LAST_SIDE, max(sizes[-1]))
        head_args = {"last_side": last_side, "most_features": widths[-1], "classes": classes, "axis_name": axis_name}
        self.heads = nnx.List(
            [Head(*pair, **head_args, dtype=dtype, rngs=rngs) for pair in zip(sizes, widths, strict=True)]
        )

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score each image. Training normalises by the batch. `keys` change nothing here."""
        mixtures = self.project(x)
        return jnp.stack([head(each, label, train=train) for head, each in zip(self.heads, mixtures, strict=True)], 1)

    def project(self, x: jax.Array) -> list[jax.Array]:
        """Return what the heads see, from the finest mixture to the coarsest."""
        x = jax.image.resize(x, (len(x), *self.seen_size, x.shape[-1]), "bilinear")
        # EfficientNet was trained on colours from 0 to 255.
        pixels = 127.5 * (jnp.broadcast_to(x, (*x.shape[:3], 3)) + 1)
        weights = jax.tree.map(
            lambda layer: layer.cast(self.dtype), self.network, is_leaf=lambda node: isinstance(node, FrozenLayer)
        )
        stages = efficientnet.stages(weights, pixels.astype(self.dtype))
        mixtures = [
            folded_conv.conv(stages[i], layer.cast(self.dtype))
            for i, layer in zip(STAGES, self.across_channels, strict=True)
        ]
        # From the coarsest on, so that each mixture has what all coarser ones saw: without it the finest heads would
        # judge texture alone.
        for level in reversed(range(HEADS - 1)):
            finer = mixtures[level]
            coarser = jax.image.resize(
                mixtures[level + 1], (*finer.shape[:3], mixtures[level + 1].shape[3]), "bilinear"
            )
            mixtures[level] = finer + folded_conv.conv(coarser, self.across_scales[level].cast(self.dtype))
        return mixtures


def stage_sizes(size: Size) -> list[Size]:
    """Return the sizes of the four stages that are mixed, for an image of a size."""
    sizes = []
    for _ in range(HEADS + 1):
        size = (-(-size[0] // 2), -(-size[1] // 2))
        sizes.append(size)
    return sizes[1:]


def _check(channels: int, outputs: int, mixed_width: int, feature_side: int) -> None:
    if outputs != HEADS:
        raise UserError(
            "config.model.name is 'projected', whose critic has four heads: use --config.objective.name=projected, "
            "or other networks"
        )
    if channels == 4:
        raise UserError(
            "config.data.channels is 4, and the critic of config.model.name 'projected' sees no transparency: use "
            "--config.data.channels=3, or --config.mark.inks=1"
        )
    for name, value, least in (("mixed_width", mixed_width, 1), ("feature_side", feature_side, 32)):
        if value < least:
            raise UserError(f"config.model.{name} is {value}: it should be at least {least}")


def _random_layer(side: int, channels_in: int, channels_out: int, rngs: nnx.Rngs) -> FrozenLayer:
    """Draw a filter as He et al. 2015 do, which keeps the size of activations."""
    weight = layers.he_normal(rngs.params(), (side, side, channels_in, channels_out))
    return FrozenLayer(weight, jnp.zeros(channels_out))
