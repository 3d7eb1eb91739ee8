"""One logo, in any form, to the PNG of one record: the work that is shared out among processes."""

import hashlib
import io
import struct
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from data_prep.pictures import rasters, square, svg
from logogan_jax.core.storage import filesystem

# What reading a broken or hostile picture raises.
UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, RuntimeError, struct.error,
    *rasters.TOO_LARGE,
)  # fmt: skip


class Item(NamedTuple):
    """A logo to convert: its name, class number, and its bytes or the path or address of its file."""

    name: str
    label: int
    source: bytes | str


class Frame(NamedTuple):
    """What every image becomes: a square of `size` pixels and 1, 3 or 4 channels; see square.fit.

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
    """PNG bytes, the source's SHA-256 and its width over height (1 being the Frame's); or the reason for none."""

    png: bytes
    sha256: str
    aspect: float
    reason: str


def convert(item, frame):
    """Item, Frame -> Converted; a picture that cannot be read is a reason, never an exception."""
    try:
        data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
        image = read_for(data, frame)
        pixels = framed(image, frame)
    except UNREADABLE as error:
        return Converted(b"", "", 0.0, reason(error))
    height, width, _ = frame.shape
    aspect = image.width / image.height * (height / width)
    return Converted(png(picture(pixels)), hashlib.sha256(data).hexdigest(), aspect, "")


def read(data, side, width=0, *, longer=False):
    """The picture in a file's bytes, the first of an animation; SVG is drawn as by svg.render."""
    if not data:
        raise ValueError("the file is empty")
    if svg.looks_like(data):
        return svg.render(svg.read(data), side, width, longer=longer)
    return rasters.read(data)


def read_for(data, frame):
    """The picture in a file's bytes, at no more than the resolution that the frame can use."""
    height, width, _ = frame.shape
    if svg.looks_like(data) or not data:
        return read(data, height, width, longer=frame.fit == "pad")
    # Of what is inside margins to be trimmed, every pixel may count.
    return rasters.read(data, least=0 if frame.trim else 2 * max(height, width))


def framed(image, frame):
    """Pillow image, Frame -> uint8[height, width, channels]."""
    return square.fit(image, frame.size, frame.channels, width=frame.width, how=frame.fit, trim=frame.trim)


def picture(pixels):
    """uint8[H, W, 1|3|4] -> Pillow image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def png(image):
    """A Pillow image as the bytes of a PNG."""
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def reason(error):
    """What to tell the user of a picture that could not be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, rasters.TOO_LARGE):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return error.strerror
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
