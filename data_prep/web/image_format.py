"""Which image format some bytes have, decided by the bytes alone, before anything is decoded."""

import warnings
from typing import NamedTuple

from PIL import Image

from data_prep.pictures import convert, rasters, svg, svg_text

# Formats of logos, by Pillow's names. Formats without a clear signature, such as TGA, are left out.
_EXTENSIONS = {
    "PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif",
    "ICO": ".ico", "ICNS": ".icns", "AVIF": ".avif", "JPEG2000": ".jp2", "PSD": ".psd", "PPM": ".ppm", "QOI": ".qoi",
}  # fmt: skip
_READERS = sorted(_EXTENSIONS.keys() & Image.OPEN.keys())  # Pillow's reader of JPEG recognises MPO too
EXTENSIONS = {*_EXTENSIONS.values(), ".jpeg", ".tiff", ".svg", ".svgz"}


class InvalidImage(ValueError):
    """Bytes that are not an image or are dangerous to decode, with the reason."""


class ImageFormat(NamedTuple):
    """A format by Pillow's name, the extension of its files, and the size in pixels (None for a vector drawing)."""

    format: str
    extension: str
    width: int | None = None
    height: int | None = None


def identify(data: bytes, max_pixels: int) -> ImageFormat:
    """Return the format of a file's bytes; InvalidImage if they are no image or more than `max_pixels` pixels."""
    if not data:
        raise InvalidImage("the file is empty")
    try:
        if svg_text.looks_like_svg(data):
            svg.read(data)
            return ImageFormat("SVG", ".svgz" if data.startswith(b"\x1f\x8b") else ".svg")
        format, (width, height) = _identify_raster(data, max_pixels)
    except Exception as error:  # the readers of image formats raise many types on damaged bytes
        raise InvalidImage(convert.describe_error(error)) from None
    if width * height > max_pixels:
        raise InvalidImage(f"{width} x {height} are more than {max_pixels:,} pixels")
    return ImageFormat(format, _EXTENSIONS[format], width, height)


def _identify_raster(data: bytes, max_pixels: int) -> tuple[str, tuple[int, int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what is too large is said below
        image = rasters.open_lazily(data, _READERS)
    with image:
        if image.width * image.height <= max_pixels:
            image.verify()
        return image.format or "", image.size
