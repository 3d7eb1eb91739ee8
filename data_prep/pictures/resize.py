"""A picture as the square, or the rectangle, that the networks are trained on."""

import numpy as np
from PIL import Image, ImageChops, ImageOps

from data_prep.pictures import modes
from logogan_jax.data.png import MODES

FITS = ("crop", "pad")
_TOLERANCE = 12  # of 255: how much the pixels of a margin may differ from its corner


def fit(
    image: Image.Image, size: int, channels: int, *, width: int = 0, how: str = "crop", trim: bool = False
) -> np.ndarray:
    """Fit a picture of any mode to uint8[size, width, channels], upright, with a Lanczos filter; width 0 is a square.

    how="crop" keeps the largest centred part of that shape; how="pad" keeps the whole picture and adds background
    around it. `trim` first cuts off margins of one colour. Transparency is laid on a background (see
    modes.choose_background), unless there are 4 channels, whose colours are not multiplied by their opacity.
    The filter works on sRGB values as they are stored, not on linear light.
    """
    box = (width or size, size)
    image, background = _to_mode(image, channels)
    if trim:
        image = image.crop(_content_box(image))
    if how == "pad":
        fitted = _pad(image, box, _corner_colour(image) if background is None else background)
    else:
        fitted = ImageOps.fit(image, box, Image.Resampling.LANCZOS)
    return np.asarray(fitted.convert(MODES[channels])).reshape(size, width or size, channels)


def _to_mode(image: Image.Image, channels: int) -> tuple[Image.Image, tuple[int, ...] | None]:
    """(upright RGB or RGBA image, its background colour, or None if that must be seen from its corners)."""
    image = modes.to_srgb(image)
    if channels == 4:
        background = (0, 0, 0, 0) if image.mode == "RGBA" else None
        return image.convert("RGBA"), background
    if image.mode == "RGBA":
        background = modes.choose_background(image)
        return modes.composite(background, image), background
    return image, None


def _content_box(image: Image.Image) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what is inside the margins; all of an image that has one colour."""
    corner = image.getpixel((0, 0))
    assert isinstance(corner, tuple)  # RGB or RGBA
    if image.mode == "RGBA" and corner[3] == 0:
        bands = [image.getchannel("A")]  # whatever is not transparent, of any colour
    else:
        bands = list(ImageChops.difference(image, Image.new(image.mode, image.size, corner)).split())
    masks = [band.point([255 * (value > _TOLERANCE) for value in range(256)]) for band in bands]
    content = masks[0]
    for mask in masks[1:]:
        content = ImageChops.lighter(content, mask)
    return content.getbbox() or (0, 0, *image.size)


def _corner_colour(image: Image.Image) -> tuple[int, ...]:
    """The colour of the corners of an opaque picture, or white if they differ."""
    right = image.width - 1
    bottom = image.height - 1
    corners = np.array([image.getpixel(corner) for corner in ((0, 0), (right, 0), (0, bottom), (right, bottom))])
    alike = (np.ptp(corners, axis=0) <= _TOLERANCE).all()
    return tuple(int(value) for value in corners[0]) if alike else (255,) * len(image.getbands())


def _pad(image: Image.Image, box: tuple[int, int], background: tuple[int, ...]) -> Image.Image:
    """Resize a picture to lie centred within a box (width, height), on a background."""
    scale = min(outer / side for outer, side in zip(box, image.size, strict=True))
    width = max(1, round(image.width * scale))
    height = max(1, round(image.height * scale))
    padded = Image.new(image.mode, box, background)
    resized = image.resize((width, height), Image.Resampling.LANCZOS) if (width, height) != image.size else image
    padded.paste(resized, ((box[0] - width) // 2, (box[1] - height) // 2))
    return padded
