"""Generators that draw marks: flat inks on a ground, with the anti-aliased edges of a rasteriser.

A logo is a shape in few flat colours. A generator that gives colours for every pixel spends its capacity on keeping
them flat. Here the last layer of any generator gives one field for each ink. An ink covers the points at which its
field is above 0 and above the fields of all other inks. The share of a pixel that an ink covers is the mean over 2 x 2
points in the pixel. Between the centres of its own pixels a field is interpolated bilinearly, so a field of 28 x 28
can draw 56 x 56 pixels.

Logos are often symmetric, and convolutions do not see that. So z also opens gates. An open gate makes the fields equal
to their mirror image, or to themselves after half a turn.

The inks are flat colours, made from z or taken from the data set. Where they are taken from the data set, shape and
colour have nothing to do with each other: what is trained is the coverage alone, and only pictures get an ink.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from logogan_jax.core.images import background
from logogan_jax.networks import layers
from logogan_jax.networks.conditioning import LabelEmbedding
from logogan_jax.networks.interpolation import points_along

NO_INK = -1.0  # of `image_coverage`, where a pixel shows the ground alone
POINTS = 2  # in a pixel, along each side
SHARPNESS = 5.0  # first factor of the fields: from 2 on training leaves edges soft
FIELD_BIAS = -0.3  # of the fields at first: a little more ground than ink
HIDDEN = 32  # features between z and the colours of inks
SLOPE = 0.2  # of leaky ReLU
SYMMETRIES = ((2,), (1,), (1, 2))  # axes of [n, h, w, k] that left-right, top-bottom and half a turn reverse
GATE_SLOPE = 8.0  # of the sigmoid of a gate: few marks are between symmetric and not
GATE_BIAS = -1.4  # about a sixth of all marks have each symmetry at first


def has_inks_of_data(inks: int, colours: str, networks: Collection[str]) -> bool:
    """Return whether marks get their colours from the data set, so that networks are trained on coverage alone.

    Args:
        inks: config.mark.inks.
        colours: config.mark.colours: "data", "network", or "auto", which is "data" where that suits.
        networks: the roles that are trained.
    """
    suits = inks == 1 and {*networks} == {"generator", "critic"}
    return bool(inks) and (colours == "data" or (colours == "auto" and suits))


class InkTable(nnx.Variable):
    """float32[n, 1|3] in [0, 1]: inks of the data set. They are not trained."""


def ink_shares(logits: jax.Array) -> jax.Array:
    """Return the softmax over inks, [..., k] -> [..., k], where the ground is one more with logit 0."""
    # Of one ink this is the sigmoid.
    highest = jnp.maximum(logits.max(-1, keepdims=True), 0.0)
    powers = jnp.exp(logits - highest)
    return powers / (powers.sum(-1, keepdims=True) + jnp.exp(-highest))


def make_symmetric(fields: jax.Array, gates: jax.Array) -> jax.Array:
    """Return fields [n, h, w, k] as symmetric as gates [n, 3] in [0, 1] say: exactly so where a gate is 1."""
    # A gate takes the fields half of the way to the other side: both sides meet in their mean. Any two reversals, one
    # after the other, are the third. So all three gates together give a weighted mean of four fields.
    across, down, turn = (gate / 2 for gate in jnp.split(gates[..., None, None], len(SYMMETRIES), axis=1))
    keep = (1 - across) * (1 - down) * (1 - turn) + across * down * turn
    by_across = across * (1 - down) * (1 - turn) + (1 - across) * down * turn
    by_down = (1 - across) * down * (1 - turn) + across * (1 - down) * turn
    by_turn = (1 - across) * (1 - down) * turn + across * down * (1 - turn)
    reversed_fields = [jnp.flip(fields, axes) for axes in SYMMETRIES]
    # In pairs: then a symmetric sum has the same terms on both sides.
    return (keep * fields + by_across * reversed_fields[0]) + (
        by_down * reversed_fields[1] + by_turn * reversed_fields[2]
    )


def coverage(fields: jax.Array, sharpness: jax.Array, scale: int = 1) -> jax.Array:
    """Return the share of each pixel that each ink covers: [n, h, w, k] -> [n, scale * h, scale * w, k] in [0, 1].

    A field drawn at `scale` times the size has edges that are as many times sharper.
    """
    # The points of a larger picture lie within the same pixels of the field, so the mark is the same.
    points = POINTS * scale
    # Sharpened before they are interpolated, so that the gradient of the sharpness is one sum.
    sharp = scale * sharpness * fields
    shares = [[ink_shares(point) for point in points_along(row, 2, points)] for row in points_along(sharp, 1, points)]
    pixel = lambda i, j: sum(shares[POINTS * i + a][POINTS * j + b] for a in range(POINTS) for b in range(POINTS))
    rows = [jnp.stack([pixel(i, j) / POINTS**2 for j in range(scale)], axis=3) for i in range(scale)]
    n, height, width, inks = fields.shape
    return jnp.stack(rows, axis=2).reshape(n, scale * height, scale * width, inks)


def lay_on_ground(shares: jax.Array, colours: jax.Array, channels: int) -> jax.Array:
    """Paint inks on the ground: shares [n, h, w, k] and colours [n, k, c] in [0, 1] -> images in [-1, 1].

    The ground is transparent in 4 channels, where colours are multiplied by alpha. Elsewhere it is white.
    """
    painted = jnp.einsum("nhwk,nkc->nhwc", shares, colours)
    alpha = shares.sum(-1, keepdims=True)
    whole = jnp.concatenate([painted, alpha], -1) if channels == 4 else painted + (1 - alpha)
    return 2 * whole - 1


def image_coverage(images: jax.Array) -> jax.Array:
    """Return what of each pixel is covered by the one ink of an image: [n, h, w, 1|3|4] -> [n, h, w, 1] in [-1, 1].

    With alpha this is alpha. Without, it is the distance from white as a share of the largest one in the image.
    """
    if images.shape[-1] == 4:
        return images[..., 3:]
    # The share, not the distance: the coverage of a pale ink is that of a dark one.
    distance = jnp.sqrt(jnp.sum(jnp.square(1 - images), axis=-1, keepdims=True))
    largest = distance.max((1, 2, 3), keepdims=True)
    return 2 * distance / jnp.maximum(largest, 1e-6) - 1


def in_black(covered: jax.Array, channels: int) -> jax.Array:
    """Show a coverage, as `image_coverage` gives it, in black ink: [n, h, w, 1] -> [n, h, w, channels] in [-1, 1]."""
    black = jnp.zeros((len(covered), 1, 1 if channels == 1 else 3))
    return lay_on_ground((covered + 1) / 2, black, channels)


class View(NamedTuple):
    """What networks are trained on.

    Attributes:
        of: function of real images float32[n, H, W, C] in [-1, 1] that gives it.
        outside: its value outside of an image.
        show: function of it that gives images to look at, of C channels.
    """

    of: Callable[[jax.Array], jax.Array]
    outside: float
    show: Callable[[jax.Array], jax.Array]


def training_view(channels: int, of_coverage: bool) -> View:
    """Return the View of images of some channels: of their coverage, or of the images themselves."""
    if of_coverage:
        return View(image_coverage, NO_INK, lambda covered: in_black(covered, channels))
    return View(lambda images: images, background(channels), lambda images: images)


class MarkGenerator(nnx.Module):
    """z float32[n, latent], label int32[n] -> float32[n, height, width, channels] in [-1, 1], drawn as a mark.

    With inks of the data set training gets float32[n, height, width, 1], what `image_coverage` is of real images.
    """

    def __init__(
        self,
        trunk: Any,
        *,
        inks: int,
        scale: int = 1,
        channels: int,
        latent: int,
        classes: int,
        table: np.ndarray | None,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        """Wrap a generator.

        Args:
            trunk: generator whose `logits` are `inks` fields, from a last layer `out` with a bias.
            inks: number of inks.
            scale: sides of an image over those of the fields.
            channels: of the images.
            latent: length of z.
            classes: number of labels, or 0.
            table: inks of the data set, float32[n, 1|3] in [0, 1]: the last number of z chooses one, and the trunk
                gets the others. None for colours that a network makes from z.
            dtype: of the arithmetic.
            rngs: source of first weights.
        """
        self.trunk = trunk
        self.channels = channels
        self.inks = inks
        self.scale = scale
        self.gates = layers.dense(latent - (table is not None), len(SYMMETRIES), dtype=dtype, rngs=rngs)
        self.sharpness = nnx.Param(jnp.float32(SHARPNESS))
        trunk.out.bias = nnx.Param(jnp.full_like(trunk.out.bias[...], FIELD_BIAS))
        if table is not None:
            self.table = InkTable(jnp.asarray(table))
        else:
            self.table = None
            components = 1 if channels == 1 else 3
            self.label_embedding = LabelEmbedding(latent, classes, rngs=rngs)
            self.hidden = layers.dense(self.label_embedding.length, HIDDEN, dtype=dtype, rngs=rngs)
            self.colours = layers.dense(HIDDEN, inks * components, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        z: jax.Array,
        label: jax.Array | None = None,
        *,
        keys: jax.Array | None = None,
        train: bool,
        scale: int = 1,
    ) -> jax.Array:
        """Draw images, `scale` times as high and as wide as those of training. `keys` are the trunk's."""
        shares, colours = self.cover(z, label, keys=keys, train=train, scale=scale)
        if train and self.table is not None:
            return 2 * shares - 1
        return lay_on_ground(shares, colours, self.channels)

    def cover(
        self,
        z: jax.Array,
        label: jax.Array | None = None,
        *,
        keys: jax.Array | None = None,
        train: bool,
        scale: int = 1,
    ) -> tuple[jax.Array, jax.Array]:
        """Return the shares of pixels that inks cover, [n, h, w, inks], and their colours [n, inks, 1|3] in [0, 1]."""
        colours, z = self.choose_colours(z, label)
        fields = self.trunk.logits(z, label, keys=keys, train=train).astype(jnp.float32)
        gates = nnx.sigmoid(GATE_SLOPE * (self.gates(z).astype(jnp.float32) + GATE_BIAS))
        return coverage(make_symmetric(fields, gates), self.sharpness[...], self.scale * scale), colours

    def choose_colours(self, z: jax.Array, label: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Return the colours of the inks, [n, inks, 1|3] in [0, 1], and what of z the trunk gets."""
        if self.table is None:
            features = nnx.leaky_relu(self.hidden(self.label_embedding(z, label)), SLOPE)
            colours = nnx.sigmoid(self.colours(features).astype(jnp.float32))
            return colours.reshape(z.shape[0], self.inks, -1), z
        table = self.table[...]
        # The last number of z is normal, so its place in the distribution is uniform over the table.
        place = jax.scipy.stats.norm.cdf(z[:, -1]) * len(table)
        rows = jnp.clip(place.astype(jnp.int32), 0, len(table) - 1)
        return table[rows][:, None], z[:, :-1]
