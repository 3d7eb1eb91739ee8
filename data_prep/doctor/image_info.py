"""What is known of one image by itself: its file, its shape and its pixels."""

import hashlib
from typing import NamedTuple

from PIL import Image

from data_prep import pool
from data_prep.doctor.duplicates import SIDE
from data_prep.pictures import convert, modes
from data_prep.pictures.convert import ImageSpec, Item
from data_prep.pictures.ink import EMPTY_INK, measure_ink
from logogan_jax.core.storage import filesystem
from logogan_jax.data.ink_counts import count_inks

EXAMINED_SIDE = 112  # side of the square at which ink is measured, so that it does not depend on --size
LONG_RATIO = 5 / 3  # longer side over shorter side, above which a square crop loses much
_LOSSY_FORMATS = {"AVIF", "GIF", "JPEG", "JPEG2000", "WEBP"}  # some have a lossless mode, which few files use


class ImageInfo(NamedTuple):
    """What one readable image is. Its fields, but `thumbnail`, are those of a line of images.jsonl.

    `width` and `height` are pixels; for a vector drawing, those at which it was drawn. `digest` is that of the
    upright pixels on white. `ink` is the mean distance of the square's pixels from their median colour,
    from 0 to 1. `inks` is the number of flat inks that count_inks finds at the size of training. `thumbnail`
    is uint8[SIDE, SIDE, 3] as bytes.
    """

    format: str
    mode: str
    width: int
    height: int
    animated: bool
    nbytes: int
    digest: bytes
    ink: float
    inks: int
    thumbnail: bytes

    @property
    def is_vector(self) -> bool:
        """Whether the image is a vector drawing, which has no size in pixels."""
        return self.format == "SVG"

    @property
    def is_lossy(self) -> bool:
        """Whether the format changes pixels when it saves them."""
        return self.format in _LOSSY_FORMATS

    @property
    def is_empty(self) -> bool:
        """Whether almost nothing can be seen."""
        return self.ink < EMPTY_INK

    def elongation(self, spec: ImageSpec) -> float:
        """Return the aspect ratio relative to that of a spec, or its inverse, whichever is larger; at least 1."""
        height, width, _ = spec.shape
        return max(self.width * height, self.height * width) / min(self.width * height, self.height * width)

    def is_long(self, spec: ImageSpec) -> bool:
        """Return whether the image is much longer one way than the pictures of a spec, which mostly are squares."""
        return self.elongation(spec) > LONG_RATIO

    def is_enlarged(self, spec: ImageSpec) -> bool:
        """Return whether the image has too few pixels for a spec, so that it would be enlarged."""
        height, width, _ = spec.shape
        # Padding scales by the side that fills the square, cropping by the other one.
        any_or_all = all if spec.fit == "pad" else any
        return not self.is_vector and any_or_all((self.width < width, self.height < height))


def examine(item: Item, spec: ImageSpec) -> ImageInfo | pool.Failed:
    """Return what is known of an image, or why it cannot be read."""
    try:
        data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
        picture = convert.open_picture(data, EXAMINED_SIDE, longer=spec.fit == "pad")
        image = modes.to_srgb(picture)
        upright = flatten(image)
        square = convert.to_pixels(image, ImageSpec(EXAMINED_SIDE, 3, spec.fit, spec.trim))
        pixels = convert.to_pixels(image, spec)
    except convert.DECODE_ERRORS as error:
        return pool.Failed(convert.describe_error(error))
    thumbnail = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    digest = hashlib.sha256(b"%dx%d" % upright.size + upright.tobytes()).digest()[:16]
    return ImageInfo(
        picture.format or "SVG", picture.mode, *upright.size, getattr(picture, "is_animated", False), len(data), digest,
        measure_ink(square), count_inks(pixels), thumbnail.tobytes(),
    )  # fmt: skip


def flatten(image: Image.Image) -> Image.Image:
    """Return an image of convert.decode as RGB: whole, and on the background that suits it."""
    return modes.composite(modes.choose_background(image), image) if image.mode == "RGBA" else image
