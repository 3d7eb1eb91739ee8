"""What a critic looks through at real and drawn images alike, so that it cannot learn a small data set by heart.

DiffAugment: Zhao et al. 2020 (arXiv 2006.10738). Every transform can be differentiated at any order, and each image
gets each of them by its own draw, with the probability that is the strength of the view: 1 is as published. How strong
it should be follows from how the critic overfits: ADA, Karras et al. 2020 (arXiv 2006.06676).

A transform is a function (row_keys, images float32[b, H, W, C] in [-1, 1], chosen bool[b]) -> images, which changes
those that are chosen. What comes in from outside is the background, so that a moved logo still lies on white. Of
premultiplied RGBA, colours change where they can be seen, and none comes to be more than its alpha.
"""

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.core.images import background

REACH = 1 / 8  # share of each side by which an image is moved, at most
HOLE = 1 / 2  # share of each side that is cut out
GREY = 0.0  # what is there instead


def brightness(row_keys, images, chosen):
    """Add a uniform number in [-1/2, 1/2)."""
    added = _per_image(prng.uniform(row_keys, low=-0.5, high=0.5))
    return _recoloured(images, chosen, lambda colour, alpha: colour + added * alpha)


def saturation(row_keys, images, chosen):
    """Move the colours of each pixel from or to their mean, by a uniform factor in [0, 2)."""
    factor = _per_image(prng.uniform(row_keys, high=2.0))

    def change(colour, _):
        # A sum of slices: on a CPU, a mean over so short a last side takes fifteen times as long.
        mean = sum(colour[..., i : i + 1] for i in range(colour.shape[-1])) / colour.shape[-1]
        return mean + factor * (colour - mean)

    return _recoloured(images, chosen, change)


def contrast(row_keys, images, chosen):
    """Move all colours of an image from or to their mean, by a uniform factor in [1/2, 3/2)."""
    factor = _per_image(prng.uniform(row_keys, low=0.5, high=1.5))

    def change(colour, alpha):
        seen = jnp.maximum(alpha.sum((1, 2, 3), keepdims=True), 1.0)  # pixels
        mean = alpha * (colour.sum((1, 2, 3), keepdims=True) / (seen * colour.shape[-1]))
        return mean + factor * (colour - mean)

    return _recoloured(images, chosen, change)


def translation(row_keys, images, chosen):
    """Move by whole pixels, at most an eighth of each side, each way alike."""
    size, channels = images.shape[1:3], images.shape[-1]
    reach = [int(side * REACH + 0.5) for side in size]
    most = jnp.array(reach)
    places = jnp.floor(prng.uniform(row_keys, (2,)) * (2 * most + 1)).astype(jnp.int32)
    places = jnp.where(chosen[:, None], places, most)
    around = ((0, 0), *((more, more) for more in reach), (0, 0))
    wide = jnp.pad(images, around, constant_values=background(channels))
    # A slice's derivative is a slice's transpose, at every order, and three times as fast here as products with
    # matrices of ones and zeros.
    return jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (*at, 0), (*size, channels)))(wide, places)


def cutout(row_keys, images, chosen):
    """Put a grey rectangle of half of each side over each image, its centre anywhere."""
    inside = chosen[:, None, None]
    for axis, (side, place) in enumerate(zip(images.shape[1:3], prng.uniform(row_keys, (2,)).T, strict=True)):
        hole = int(side * HOLE + 0.5)
        first = jnp.floor(place * (side + 1 - hole % 2)) - hole // 2
        offset = jnp.arange(side) - first[:, None]
        within = (offset >= 0) & (offset < hole)
        inside &= within[:, None, :] if axis else within[:, :, None]
    # Grey, as published: a white hole in a logo on white is a bite that a generator could learn; this one is seen
    # to hide what is behind it.
    return jnp.where(inside[..., None], GREY, images)


# In the order in which they are applied, as published; the place of one is the address of its draws.
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
    # What leaves a logo the same logo. On sheets of the embedded ones, a mirror image has other letters, saturation
    # makes grey logos of coloured ones, and brightness and contrast, however mild, shade half of the white grounds.
    "logo": ("translation", "cutout"),
}


def parse_policy(words):
    """view(row_keys, images, strength float32[]) of the transforms or presets named: "diffaugment", "logo,contrast"."""
    wanted = set()
    for word in (word.strip() for word in words.split(",")):
        if word not in TRANSFORMS and word not in PRESETS:
            known = ", ".join([*PRESETS, *TRANSFORMS])
            raise UserError(f"config.augment.policy is {words!r}, and {word!r} is none of {known}")
        wanted |= set(PRESETS.get(word, (word,)))

    def view(row_keys, images, strength):
        for name, one in zip(TRANSFORMS, prng.split(row_keys, len(TRANSFORMS)), strict=True):
            if name in wanted:
                draw, how = prng.split(one, 2)
                images = TRANSFORMS[name](how, images, prng.uniform(draw) < strength)
        return images

    return view


def _per_image(numbers):
    return numbers[:, None, None, None]


def _recoloured(images, chosen, change):
    """Images of which the chosen have `change(colour, alpha [b, H, W, 1])` for colour, alpha * [-1, 1]."""
    if images.shape[-1] < 4:
        changed = change(images, jnp.ones_like(images[..., :1]))
    else:
        alpha = (images[..., 3:] + 1) / 2
        colour = change(images[..., :3] + 1 - alpha, alpha)
        colour = jnp.where(colour > alpha, alpha, jnp.where(colour < -alpha, -alpha, colour))
        changed = jnp.concatenate([colour - 1 + alpha, images[..., 3:]], -1)
    return jnp.where(_per_image(chosen), changed, images)
