"""One logo, in any form, to the PNG of one record: the work that is shared out among processes."""

import hashlib
import io
import struct
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from data_prep.pictures import rasters, resize, svg
from logogan_jax.core.storage import filesystem

# What reading a broken or hostile picture raises.
DECODE_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, RuntimeError, struct.error,
    *rasters.TOO_LARGE,
)  # fmt: skip


class Item(NamedTuple):
    """A logo to convert: its name, class number, and its bytes or the path or address of its file."""

    name: str
    label: int
    source: bytes | str


class ImageSpec(NamedTuple):
    """What every image becomes: a square of `size` pixels and 1, 3 or 4 channels; see resize.fit.

    With a `width` that is not 0 it is not a square, and `size` is its height.
    """

    size: int
    channels: int = 3
    fit: str = "pad"
    trim: bool = False
    width: int = 0

    @property
    def shape(self):
        """(height, width, channels)."""
        return self.size, self.width or self.size, self.channels


class Converted(NamedTuple):
    """PNG bytes, the source's SHA-256 and its width over height (1 being the ImageSpec's); or the reason for none."""

    png: bytes
    sha256: str
    aspect: float
    reason: str


def convert(item, spec):
    """Item, ImageSpec -> Converted; a picture that cannot be read is a reason, never an exception."""
    try:
        data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
        image = decode_for(data, spec)
        pixels = to_pixels(image, spec)
    except DECODE_ERRORS as error:
        return Converted(b"", "", 0.0, describe_error(error))
    height, width, _ = spec.shape
    aspect = image.width / image.height * (height / width)
    return Converted(encode_png(to_pillow(pixels)), hashlib.sha256(data).hexdigest(), aspect, "")


def decode(data, side, width=0, *, longer=False):
    """The picture in a file's bytes, the first of an animation; SVG is drawn as by svg.render."""
    if not data:
        raise ValueError("the file is empty")
    if svg.looks_like(data):
        return svg.render(svg.read(data), side, width, longer=longer)
    return rasters.read(data)


def decode_for(data, spec):
    """The picture in a file's bytes, at no more than the resolution that the spec can use."""
    height, width, _ = spec.shape
    if svg.looks_like(data) or not data:
        return decode(data, height, width, longer=spec.fit == "pad")
    # Of what is inside margins to be trimmed, every pixel may count.
    return rasters.read(data, least=0 if spec.trim else 2 * max(height, width))


def to_pixels(image, spec):
    """Pillow image, ImageSpec -> uint8[height, width, channels]."""
    return resize.fit(image, spec.size, spec.channels, width=spec.width, how=spec.fit, trim=spec.trim)


def to_pillow(pixels):
    """uint8[H, W, 1|3|4] -> Pillow image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def encode_png(image):
    """A Pillow image as the bytes of a PNG."""
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def describe_error(error):
    """What to tell the user of a picture that could not be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, rasters.TOO_LARGE):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return error.strerror
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
