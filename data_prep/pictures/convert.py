"""One logo, in any form, to the PNG of one record: the work that is shared out among processes."""

import hashlib
import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.pictures import ink, modes, rasters, resize, svg, svg_text
from logogan_jax.core import pointers
from logogan_jax.core.storage import filesystem

# What decoding a broken or hostile picture raises.
DECODE_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, RuntimeError, struct.error,
    *rasters.TOO_LARGE,
)  # fmt: skip


class Item(NamedTuple):
    """A logo to convert: its name, the number of its label, and its bytes or the path or address of its file."""

    name: str
    label: int
    source: bytes | str


class ImageSpec(NamedTuple):
    """What every image is converted to: a square of `size` pixels with 1, 3 or 4 channels; see resize.fit.

    If `width` is not 0, it is a rectangle, and `size` is its height.
    """

    size: int
    channels: int = 3
    fit: str = "pad"
    trim: bool = False
    width: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.size, self.width or self.size, self.channels


class Converted(NamedTuple):
    """PNG bytes, the SHA-256 of the source, and its width over height relative to the ImageSpec's.

    Where the picture could not be read, `reason` says why and the rest is empty. `is_blank` if nothing can be seen on
    it; `has_words` if it shows words of an SVG, which are drawn in the bundled font.
    """

    png: bytes
    sha256: str
    aspect: float
    reason: str
    is_blank: bool = False
    has_words: bool = False


def convert(item: Item, spec: ImageSpec) -> Converted:
    """Convert one logo; a picture that cannot be read gives a reason, never an exception."""
    try:
        data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
        image = decode_for(data, spec)
        pixels = to_pixels(image, spec)
    except DECODE_ERRORS as error:
        return Converted(b"", "", 0.0, describe_error(error))
    height, width, _ = spec.shape
    aspect = image.width / image.height * (height / width)
    square = to_pillow(pixels)
    digest = hashlib.sha256(data).hexdigest()
    return Converted(encode_png(square), digest, aspect, "", ink.is_blank(square), "words" in image.info)


def decode(data: bytes, side: int, width: int = 0, *, longer: bool = False) -> Image.Image:
    """Decode the bytes of a file as upright RGB or RGBA in sRGB, the first frame of an animation.

    An SVG is drawn as svg.render does.

    Raises:
        One of DECODE_ERRORS.
    """
    return modes.to_srgb(open_picture(data, side, width, longer=longer))


def decode_for(data: bytes, spec: ImageSpec) -> Image.Image:
    """As decode, at no higher resolution than the ImageSpec can use."""
    height, width, _ = spec.shape
    # If margins are to be trimmed, what is inside them may need every pixel.
    minimum = 0 if spec.trim else 2 * max(height, width)
    return modes.to_srgb(open_picture(data, height, width, longer=spec.fit == "pad", minimum=minimum))


def open_picture(data: bytes, side: int, width: int = 0, *, longer: bool = False, minimum: int = 0) -> Image.Image:
    """As decode, but as the file holds the picture: in any mode and orientation; see rasters.read for `minimum`."""
    if not data:
        raise ValueError("the file is empty")
    if svg_text.looks_like_svg(data):
        return svg.render(svg.read(data), side, width, longer=longer)
    return rasters.read(data, minimum)


def to_pixels(image: Image.Image, spec: ImageSpec) -> np.ndarray:
    """Pixels uint8[height, width, channels] of a picture, fitted to an ImageSpec."""
    return resize.fit(image, spec.size, spec.channels, width=spec.width, how=spec.fit, trim=spec.trim)


def to_pillow(pixels: np.ndarray) -> Image.Image:
    """Pillow image of pixels uint8[H, W, 1|3|4]."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def encode_png(image: Image.Image) -> bytes:
    """Bytes of a PNG of a Pillow image."""
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def describe_error(error: BaseException) -> str:
    """One of DECODE_ERRORS, in words for the user."""
    if isinstance(error, rasters.TOO_LARGE):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, FileNotFoundError) and (pointer := pointers.describe_file(error.filename or "")):
        return f"not an image but {pointer}"
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return error.strerror or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error) if str(error) and not isinstance(error, LookupError) else type(error).__name__
    return text if isinstance(error, ValueError) else f"damaged: {text}"
