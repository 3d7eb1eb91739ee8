"""Pictures of any mode, bit depth and colour profile, as plain 8-bit RGB or RGBA in sRGB."""

import io
import struct
import warnings
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

WHITE = (255, 255, 255)
DARK = (32, 32, 32)
_SRGB = ImageCms.createProfile("sRGB")
_VISIBLE_SHARE = 0.03  # of the pixels: a mark that covers more, but shows less than this on white, is invisible
_PROFILED = ("L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")  # modes whose colours are those of their profile
_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
# What libraries raise on damaged metadata.
_METADATA_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    OverflowError,
    ArithmeticError,
    struct.error,
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SAMPLE = 64  # side of the small copy on which that is measured


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert to upright RGB, or to RGBA if there is transparency, without metadata but svg.render's "words".

    16 bits are scaled to 8, the orientation and the colour profile are applied. Metadata that is damaged says nothing.
    """
    info: dict[Any, Any] = {"words": True} if "words" in image.info else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, about odd metadata
        image = _to_eight_bits(_turn_upright(image))
        image = _apply_profile(image)
    image.info = info
    return image


def choose_background(image: Image.Image) -> tuple[int, int, int]:
    """The colour to lay an RGBA image on: white, or near-black if the image would be invisible on white."""
    small = np.asarray(image.resize((_SAMPLE, _SAMPLE), Image.Resampling.BOX)).astype(np.int32)
    opacity = small[..., 3]
    darkest = small[..., :3].min(-1)
    covered = (opacity > 24).mean()
    visible = (opacity * (255 - darkest) > 15 * 255).mean()
    return DARK if visible < _VISIBLE_SHARE < covered else WHITE


def composite(background: tuple[int, int, int], image: Image.Image) -> Image.Image:
    """Lay an RGBA image on a background colour: RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")


def _turn_upright(image: Image.Image) -> Image.Image:
    """Turn or mirror an image as the tag of its EXIF says that its camera was held."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _METADATA_ERRORS:
        return image
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 16 or 32 bits to 8 bits, where Pillow's own conversion would clip it."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.nan_to_num(np.asarray(image, np.float64))
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:  # the file does not say which value is white: take the smallest usual one that no pixel exceeds
        white = next((usual for usual in (1.0, 255.0, 65535.0) if values.max() <= usual), float(values.max()))
        white = max(white, 255.0) if image.mode == "I" else white
    grey = Image.fromarray((values / white * 255).round().clip(0, 255).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int | float):  # the one value that is transparent
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    grey.info["icc_profile"] = image.info.get("icc_profile")
    return grey


def _apply_profile(image: Image.Image) -> Image.Image:
    """Convert an image of 8 bits to RGB or RGBA, through its colour profile if that is not sRGB."""
    profile = image.info.get("icc_profile") if image.mode in _PROFILED else None
    if "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode not in ("L", "LA", "RGB", "CMYK"):
        image = image.convert("RGBA" if image.mode in _TRANSPARENT else "RGB")
    alpha = image.getchannel("A") if image.mode in _TRANSPARENT else None
    colours = image.convert(image.mode.rstrip("A")) if alpha else image
    colours = (_convert_by(profile, colours) if profile else None) or colours.convert("RGB")
    if alpha:
        colours.putalpha(alpha)
    return colours


def _convert_by(profile: Any, image: Image.Image) -> Image.Image | None:
    """Convert an image from a profile to sRGB; None if it is that, or broken, or made for another mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, *_METADATA_ERRORS):
        return None
