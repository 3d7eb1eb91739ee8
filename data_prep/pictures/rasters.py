"""Raster pictures from untrusted bytes."""

import io
import warnings

from PIL import Image

Image.init()
# Formats that Pillow reads by itself. EPS is not among them: Pillow hands it to Ghostscript, which executes it.
FORMATS = Image.OPEN.keys() & {
    "AVIF", "BMP", "CUR", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "TGA",
    "TIFF", "WEBP", "XBM", "XPM",
}  # fmt: skip
Image.MAX_IMAGE_PIXELS = 100_000_000  # larger pictures count as an attack; 10,000 x 10,000 is allowed

# What `header` raises for a picture whose header claims more pixels.
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def header(data: bytes) -> Image.Image:
    """Open a picture without decoding its pixels; one of TOO_LARGE if its header claims too many."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=sorted(FORMATS))


def read(data: bytes, minimum: int = 0) -> Image.Image:
    """Decode a picture, the first frame of an animation.

    A JPEG may be halved, once or several times, as long as its sides keep at least `minimum` pixels; 0 forbids that.
    """
    image = header(data)
    if minimum:
        # A JPEG decoder can leave out what a smaller picture does not need, which is most of its work.
        image.draft(None, (minimum, minimum))  # pyright: ignore[reportArgumentType] - None keeps the mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.load()
    return image
