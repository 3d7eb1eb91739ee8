"""One logo, in any form, to the PNG of one record: the work that is shared out among processes."""

import hashlib
import io
import pathlib
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from data_prep import square, svg

# What reading a broken or hostile picture raises.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


class Item(NamedTuple):
    """A logo to convert: its name, class number, and its bytes or the path of its file."""

    name: str
    label: int
    source: bytes | str


class Converted(NamedTuple):
    """PNG bytes and the SHA-256 of the source; or the reason why there is none."""

    png: bytes
    sha256: str
    reason: str


def convert(item, size, channels):
    """Item -> Converted; a picture that cannot be read is a reason, never an exception."""
    try:
        data = item.source if isinstance(item.source, bytes) else pathlib.Path(item.source).read_bytes()
        pixels = square.fit(read(item.name, data, size), size, channels)
    except UNREADABLE as error:
        return Converted(b"", "", reason(error))
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return Converted(png(image), hashlib.sha256(data).hexdigest(), "")


def read(name, data, size):
    """The picture in a file's bytes; SVG is drawn with its shorter side `size` pixels long."""
    if name.lower().endswith(".svg"):
        return svg.render(data.decode("utf-8-sig"), size)
    if not data:
        raise ValueError("the file is empty")
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png(image):
    """A Pillow image as the bytes of a PNG."""
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def reason(error):
    """What to tell the user of a picture that could not be read."""
    return "not an image" if isinstance(error, UnidentifiedImageError) else f"{type(error).__name__}: {error}"
