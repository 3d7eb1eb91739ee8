"""What picture some bytes are, decided by the bytes alone, before anything is decoded."""

import io
from typing import NamedTuple

from PIL import Image

from data_prep.pictures import convert, svg

# The formats that logos come in, by Pillow's names: those whose files can be told from anything else.
_EXTENSIONS = {
    "PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif",
    "ICO": ".ico", "ICNS": ".icns", "AVIF": ".avif", "JPEG2000": ".jp2", "PSD": ".psd", "PPM": ".ppm", "QOI": ".qoi",
}  # fmt: skip
_READERS = sorted(_EXTENSIONS.keys() & Image.OPEN.keys())  # the reader of JPEG tells MPO too
EXTENSIONS = {*_EXTENSIONS.values(), ".jpeg", ".tiff", ".svg", ".svgz"}
_PAGES = (b"<!doctype html", b"<html")


class Unwanted(ValueError):
    """Bytes that are no image, or a hostile one, with the reason."""


class Kind(NamedTuple):
    """A format, the extension of its files, and the size in pixels, which a drawing does not have."""

    format: str
    extension: str
    width: int | None = None
    height: int | None = None


def recognise(data, max_pixels):
    """The Kind of a file's bytes; Unwanted tells why they are none."""
    if not data:
        raise Unwanted("the file is empty")
    if data.lstrip()[:16].lower().startswith(_PAGES):
        raise Unwanted("not an image but a web page")
    try:
        if svg.looks_like(data):
            svg.read(data)
            return Kind("SVG", ".svgz" if data.startswith(b"\x1f\x8b") else ".svg")
        kind = _raster(data, max_pixels)
    except Exception as error:  # readers of hostile bytes raise what they like
        raise Unwanted(convert.describe_error(error)) from None
    if kind.width * kind.height > max_pixels:
        raise Unwanted(f"{kind.width} x {kind.height} are more than {max_pixels:,} pixels")
    return kind


def _raster(data, max_pixels):
    with Image.open(io.BytesIO(data), formats=_READERS) as image:
        if image.width * image.height <= max_pixels:
            image.verify()
        return Kind(image.format, _EXTENSIONS[image.format], *image.size)
