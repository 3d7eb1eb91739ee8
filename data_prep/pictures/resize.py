"""A picture as the square, or the rectangle, that the networks see."""

import numpy as np
from PIL import Image, ImageChops, ImageOps

from data_prep.pictures import modes
from logogan_jax.data.dataset import MODES

FITS = ("crop", "pad")
_TOLERANCE = 12  # of 255: how far a margin may stray from the colour of its corner


def fit(image, size, channels, *, width=0, how="crop", trim=False):
    """Pillow image of any mode -> uint8[size, width, channels], upright, resized with Lanczos; width 0 is a square.

    `how="crop"` keeps the largest centred part of that shape, "pad" the whole picture, with its
    background around it; `trim` cuts uniform margins off first. Transparency is laid on white (see
    modes.choose_background), unless there are 4 channels, whose colours are not multiplied by their opacity.
    The filter works on sRGB values as they are stored, not on linear light.
    """
    box = (width or size, size)
    image, behind = modes.to_srgb(ImageOps.exif_transpose(image)), None
    if channels == 4:
        behind = (0, 0, 0, 0) if image.mode == "RGBA" else None
        image = image.convert("RGBA")
    elif image.mode == "RGBA":
        behind = modes.choose_background(image)
        image = modes.composite(behind, image)
    if trim:
        image = image.crop(_inner(image))
    if how == "pad":
        framed = _padded(image, box, _corners(image) if behind is None else behind)
    else:
        framed = ImageOps.fit(image, box, Image.Resampling.LANCZOS)
    return np.asarray(framed.convert(MODES[channels])).reshape(*box[::-1], channels)


def _inner(image):
    """The box inside the uniform margins; all of an image that is of one colour."""
    corner = image.getpixel((0, 0))
    strays = ImageChops.difference(image, Image.new(image.mode, image.size, corner))
    if image.mode == "RGBA" and corner[3] == 0:
        strays = image  # whatever is not transparent, of any colour
    bands = [band.point(lambda value: 255 * (value > _TOLERANCE)) for band in strays.split()]
    if strays is image:
        bands = bands[3:]
    box = bands[0]
    for band in bands[1:]:
        box = ImageChops.lighter(box, band)
    return box.getbbox() or (0, 0, *image.size)


def _corners(image):
    """The colour of the corners of an opaque picture, or white if they differ."""
    right, bottom = image.width - 1, image.height - 1
    corners = np.array([image.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))])
    plain = (np.ptp(corners, axis=0) <= _TOLERANCE).all()
    return tuple(int(value) for value in corners[0]) if plain else (255,) * len(image.getbands())


def _padded(image, box, behind):
    scale = min(outer / side for outer, side in zip(box, image.size, strict=True))
    inner = [max(1, round(side * scale)) for side in image.size]
    framed = Image.new(image.mode, box, behind)
    small = image.resize(inner, Image.Resampling.LANCZOS) if tuple(inner) != image.size else image
    framed.paste(small, ((box[0] - inner[0]) // 2, (box[1] - inner[1]) // 2))
    return framed
