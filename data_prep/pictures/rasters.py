"""Raster pictures from untrusted bytes."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Collection, Iterator

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from data_prep.pictures import file_kinds, png_chunks

Image.init()
# Formats that Pillow reads by itself. EPS is not among them: Pillow hands it to Ghostscript, which executes it.
FORMATS = Image.OPEN.keys() & {
    "AVIF", "BMP", "CUR", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "TGA",
    "TIFF", "WEBP", "XBM", "XPM",
}  # fmt: skip
Image.MAX_IMAGE_PIXELS = 100_000_000  # larger pictures count as an attack; 10,000 x 10,000 is allowed
PngImagePlugin.MAX_TEXT_CHUNK = png_chunks.MAX_PROFILE_BYTES  # holds for profiles too

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong with a picture becomes a reason, and is not printed

# What `header` raises for a picture whose header claims more pixels.
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def header(data: bytes) -> Image.Image:
    """Open a picture without decoding its pixels.

    Raises:
        One of TOO_LARGE: if its header claims too many pixels.
        ValueError: if it is no picture that can be read; it says what it is instead.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return open_lazily(data, FORMATS)


def open_lazily(data: bytes, formats: Collection[str]) -> Image.Image:
    """As header, for some formats; DecompressionBombError only if there are twice the pixels that are too many."""
    with warnings.catch_warnings():
        for kind in (UserWarning, DeprecationWarning):  # about odd metadata
            warnings.simplefilter("ignore", kind)
        try:
            return Image.open(io.BytesIO(png_chunks.drop_metadata(data)), formats=sorted(formats))
        except UnidentifiedImageError:
            raise ValueError(file_kinds.describe(data)) from None
        except ValueError as error:
            raise ValueError(f"damaged: {error}") from None


def read(data: bytes, minimum: int = 0) -> Image.Image:
    """Decode a picture, the first frame of an animation.

    A JPEG may be halved, once or several times, as long as its sides keep at least `minimum` pixels; 0 forbids that.
    """
    image = header(data)
    if minimum:
        # A JPEG decoder can leave out what a smaller picture does not need, which is most of its work.
        image.draft(None, (minimum, minimum))  # pyright: ignore[reportArgumentType] - None keeps the mode
    with warnings.catch_warnings(), _quiet(image.format == "TIFF"):
        warnings.simplefilter("ignore")
        try:
            image.load()
        except ValueError as error:
            raise ValueError(f"damaged: {error}") from None
    return image


@contextlib.contextmanager
def _quiet(is_tiff: bool) -> Iterator[None]:
    """Throw away what libtiff writes to the standard error of the process, past Python, about damaged files."""
    if not is_tiff:
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
