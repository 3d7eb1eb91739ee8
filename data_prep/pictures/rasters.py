"""Raster pictures, opened without trust."""

import io
import warnings

from PIL import Image

Image.init()
# Formats whose readers need no other program: Pillow hands EPS to Ghostscript, which executes it.
FORMATS = Image.OPEN.keys() & {
    "AVIF", "BMP", "CUR", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "TGA",
    "TIFF", "WEBP", "XBM", "XPM",
}  # fmt: skip
Image.MAX_IMAGE_PIXELS = 100_000_000  # more is taken for an attack; 10,000 x 10,000 is let through

# What reading a picture whose header claims more raises.
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def header(data):
    """Bytes of a picture -> Pillow image whose pixels are not decoded yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=sorted(FORMATS))


def read(data, least=0):
    """Bytes of a picture -> Pillow image, the first of an animation; a JPEG may be halved down to `least` pixels."""
    image = header(data)
    if least:
        image.draft(None, (least, least))  # its decoder does it by leaving work out, which is most of the work
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.load()
    return image
