"""One logo, in any form, to the PNG of one record: the work that is shared out among processes."""

import hashlib
import io
import pathlib
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from data_prep import resize_center, svg_to_png


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
        pixels = resize_center.fit(_open(item.name, data, size), size, channels)
    except UnidentifiedImageError:
        return Converted(b"", "", "not an image")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Converted(b"", "", f"{type(error).__name__}: {error}")
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(stream, format="PNG")
    return Converted(stream.getvalue(), hashlib.sha256(data).hexdigest(), "")


def _open(name, data, size):
    if name.lower().endswith(".svg"):
        return svg_to_png.render(data.decode("utf-8-sig"), size)
    if not data:
        raise ValueError("the file is empty")
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
