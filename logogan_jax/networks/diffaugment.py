"""Differentiable augmentation of a critic's images, DiffAugment: Zhao et al. 2020 (arXiv 2006.10738).

Real and generated images are augmented alike, so that the critic cannot memorise a small data set. Every transform can
be differentiated at any order. Each image gets each transform by its own draw with a probability; 1 is as published.

A transform is a function (row_keys key[b], images float32[b, H, W, C] in [-1, 1], chosen bool[b]) -> images, which
changes the chosen images. Of premultiplied RGBA, colours change only where they are visible, and none becomes larger
than its alpha.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from logogan_jax.core import prng, target
from logogan_jax.core.errors import UserError

SHIFT = 1 / 8  # largest translation, as a share of each side
HOLE = 1 / 2  # the part of each side that is cut out
GREY = 0.0  # the colour of the hole

Augment = Callable[[jax.Array, jax.Array, jax.Array | float], jax.Array]


def brightness(row_keys: jax.Array, images: jax.Array, chosen: jax.Array) -> jax.Array:
    """Add a uniform number in [-1/2, 1/2) to all colours of an image."""
    added = _per_image(prng.uniform(row_keys, low=-0.5, high=0.5))
    return _change_colours(images, chosen, lambda colour, alpha: colour + added * alpha)


def saturation(row_keys: jax.Array, images: jax.Array, chosen: jax.Array) -> jax.Array:
    """Scale the distance of the colours of each pixel from their mean by a uniform factor in [0, 2)."""
    factor = _per_image(prng.uniform(row_keys, high=2.0))

    def change(colour: jax.Array, _: jax.Array) -> jax.Array:
        # A sum of slices: on a CPU a mean over so short a last side takes fifteen times as long.
        mean = sum(colour[..., i : i + 1] for i in range(colour.shape[-1])) / colour.shape[-1]
        return mean + factor * (colour - mean)

    return _change_colours(images, chosen, change)


def contrast(row_keys: jax.Array, images: jax.Array, chosen: jax.Array) -> jax.Array:
    """Scale the distance of all colours of an image from their mean by a uniform factor in [1/2, 3/2)."""
    factor = _per_image(prng.uniform(row_keys, low=0.5, high=1.5))

    def change(colour: jax.Array, alpha: jax.Array) -> jax.Array:
        # At least one, because an image without visible pixels has no mean.
        visible = jnp.maximum(alpha.sum((1, 2, 3), keepdims=True), 1.0)  # in pixels
        mean = alpha * (colour.sum((1, 2, 3), keepdims=True) / (visible * colour.shape[-1]))
        return mean + factor * (colour - mean)

    return _change_colours(images, chosen, change)


def translation(row_keys: jax.Array, images: jax.Array, chosen: jax.Array, outside: float) -> jax.Array:
    """Move an image by whole pixels, at most an eighth of each side, in both directions alike.

    Pixels from outside have the value `outside`.
    """
    size = (images.shape[1], images.shape[2])
    reach = [int(side * SHIFT + 0.5) for side in size]
    centre = jnp.array([reach])  # int32[1, 2]: the place of an image that does not move, in the padded one
    choices = (2 * centre + 1).astype(jnp.float32)
    # Whole pixels: a shift by a fraction of one would blur.
    places = jnp.floor(prng.uniform(row_keys, (2,)) * choices).astype(jnp.int32)
    places = jnp.where(chosen[:, None], places, centre)
    margins = ((0, 0), *((margin, margin) for margin in reach), (0, 0))
    padded = jnp.pad(images, margins, constant_values=outside)
    return _crop(padded, places, size)


def cutout(row_keys: jax.Array, images: jax.Array, chosen: jax.Array) -> jax.Array:
    """Put a grey rectangle of half of each side over an image, with its centre anywhere in it."""
    inside = chosen[:, None, None]
    for axis, (side, place) in enumerate(zip(images.shape[1:3], prng.uniform(row_keys, (2,)).T, strict=True)):
        hole = int(side * HOLE + 0.5)
        first = jnp.floor(place * (side + 1 - hole % 2)) - hole // 2
        offset = jnp.arange(side, dtype=jnp.float32)[None] - first[:, None]
        within = (offset >= 0) & (offset < hole)
        inside &= within[:, None, :] if axis else within[:, :, None]
    # Grey, as published. A white hole in a logo on white would be a bite that a generator could learn; a grey one is
    # seen to hide what is behind it.
    return jnp.where(inside[..., None], GREY, images)


# In the order of the paper. The place of a transform is the address of its draws: never re-order.
TRANSFORMS = {
    "brightness": brightness,
    "saturation": saturation,
    "contrast": contrast,
    "translation": translation,
    "cutout": cutout,
}
PRESETS = {
    "colour": ("brightness", "saturation", "contrast"),
    "diffaugment": tuple(TRANSFORMS),
    # What keeps a logo the same logo. On sheets of the embedded logos, a mirror image has other letters, saturation
    # makes grey logos of coloured ones, and brightness and contrast, however mild, shade half of the white grounds.
    "logo": ("translation", "cutout"),
}


def parse_policy(policy: str, outside: float) -> Augment:
    """Make augment(row_keys, images, probability float32[]) of a list of presets and transforms: "logo,contrast".

    `outside` is the value of pixels from outside an image. It should be that of the background, so that a moved logo
    still lies on it. Raises a UserError that lists the known names.
    """
    # A set: neither order nor repetitions in a policy matter.
    wanted = set()
    for name in (name.strip() for name in policy.split(",")):
        if name not in TRANSFORMS and name not in PRESETS:
            known = ", ".join([*PRESETS, *TRANSFORMS])
            raise UserError(f"config.augment.policy is {policy!r}, and {name!r} is none of {known}")
        wanted |= set(PRESETS.get(name, (name,)))
    transforms = {**TRANSFORMS, "translation": functools.partial(translation, outside=outside)}

    def augment(row_keys: jax.Array, images: jax.Array, probability: jax.Array | float) -> jax.Array:
        # Every transform has its own keys, wanted or not: what it draws does not depend on the others.
        for name, keys in zip(transforms, prng.split(row_keys, len(transforms)), strict=True):
            if name in wanted:
                choice_keys, transform_keys = prng.split(keys, 2)
                images = transforms[name](transform_keys, images, prng.uniform(choice_keys) < probability)
        return images

    return augment


def _crop(images: jax.Array, places: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Cut a window out of each image: [b, H, W, C], its first row and column int32[b, 2] -> [b, *size, C]."""
    if target.platform() != "tpu":
        # The derivative of a slice is the transpose of a slice, at every order. On a CPU it is three times as fast as
        # the products below.
        cut = lambda image, place: jax.lax.dynamic_slice(image, (*place, 0), (*size, image.shape[-1]))
        return jax.vmap(cut)(images, places)
    # A TPU would cut one image after the other in a loop. A product with ones and zeros gives the same numbers, as each
    # sum has one term and the highest precision keeps all bits of it.
    for axis, (side, form) in enumerate(zip(size, ("brh,bhwc->brwc", "brw,bhwc->bhrc"), strict=True)):
        wanted = places[:, axis, None] + jnp.arange(side)[None]
        chosen = jax.nn.one_hot(wanted, images.shape[1 + axis], dtype=images.dtype)
        images = jnp.einsum(form, chosen, images, precision=jax.lax.Precision.HIGHEST)
    return images


def _per_image(values: jax.Array) -> jax.Array:
    return values[:, None, None, None]


def _change_colours(
    images: jax.Array, chosen: jax.Array, change: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
    """Apply `change(colour, alpha float32[b, H, W, 1])` to the chosen images, with colour in alpha * [-1, 1]."""
    if images.shape[-1] < 4:
        changed = change(images, jnp.ones_like(images[..., :1]))
    else:
        alpha = (images[..., 3:] + 1) / 2
        colour = change(images[..., :3] + 1 - alpha, alpha)
        colour = jnp.where(colour > alpha, alpha, jnp.where(colour < -alpha, -alpha, colour))
        changed = jnp.concatenate([colour - 1 + alpha, images[..., 3:]], -1)
    # All images are changed and some are taken: in a program of fixed shapes no image can be skipped.
    return jnp.where(_per_image(chosen), changed, images)
