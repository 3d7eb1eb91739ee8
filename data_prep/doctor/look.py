"""What can be told of one image by itself: its file, its shape, its pixels, and how it looks from afar."""

import hashlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from data_prep import pool
from data_prep.doctor.duplicates import SIDE
from data_prep.pictures import convert, modes
from data_prep.pictures.convert import ImageSpec
from logogan_jax.core.storage import filesystem

LOOK = 112  # side of the square at which images are judged, whatever size they are to have
LONG = 5 / 3  # longer sides over shorter ones, from which on a square crop loses much
_LOSSY = {"AVIF", "GIF", "JPEG", "JPEG2000", "WEBP"}  # as they are mostly used
EMPTY = 0.005  # ink below which there is nothing to see


class Facts(NamedTuple):
    """What one readable image is.

    `width` and `height` are pixels, of a drawing those at which it was drawn. `digest` is that of the
    upright pixels on white. `ink` is the mean distance of the square's pixels from their commonest colour,
    from 0 to 1. `thumbnail` is uint8[SIDE, SIDE, 3] as bytes.
    """

    format: str
    mode: str
    width: int
    height: int
    animated: bool
    nbytes: int
    digest: bytes
    ink: float
    thumbnail: bytes

    @property
    def drawn(self):
        """Whether it is a drawing, which has no pixels of its own."""
        return self.format == "SVG"

    @property
    def lossy(self):
        """Whether its format does not keep pixels as they were."""
        return self.format in _LOSSY

    @property
    def empty(self):
        """Whether there is next to nothing to see in it."""
        return self.ink < EMPTY

    def elongation(self, frame):
        """How many times longer it is than an ImageSpec, one way or the other."""
        height, width, _ = frame.shape
        return max(self.width * height, self.height * width) / min(self.width * height, self.height * width)

    def long(self, frame):
        """Whether it is much longer one way than an ImageSpec, which is mostly a square."""
        return self.elongation(frame) > LONG

    def enlarged(self, frame):
        """Whether it has too few pixels for an ImageSpec, so that it would be enlarged."""
        height, width, _ = frame.shape
        every = all if frame.fit == "pad" else any
        return not self.drawn and every((self.width < width, self.height < height))


def examine(item, frame):
    """convert.Item, ImageSpec -> Facts, or pool.Failed with the reason why there are none."""
    try:
        data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
        image = convert.decode(data, LOOK, longer=frame.fit == "pad")
        plain = flat(image)
        square = convert.to_pixels(image, ImageSpec(LOOK, 3, frame.fit, frame.trim))
    except convert.DECODE_ERRORS as error:
        return pool.Failed(convert.describe_error(error))
    small = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    pixels = hashlib.sha256(b"%dx%d" % plain.size + plain.tobytes()).digest()
    return Facts(
        image.format or "SVG", image.mode, *plain.size, getattr(image, "is_animated", False), len(data), pixels[:16],
        ink(square), small.tobytes(),
    )  # fmt: skip


def flat(image):
    """Pillow image of any mode -> RGB, whole and upright, laid on what belongs behind it."""
    image = modes.to_srgb(ImageOps.exif_transpose(image))
    return modes.composite(modes.choose_background(image), image) if image.mode == "RGBA" else image


def ink(square):
    """uint8[S, S, 3] -> how far its pixels are from their commonest colour, on average, from 0 to 1."""
    values = square.astype(np.int16)
    strays = np.abs(values - np.median(values, axis=(0, 1)))
    return float(strays.max(-1).mean() / 255)
