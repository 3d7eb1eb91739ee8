"""Pictures of any mode, bit depth and colour profile, as plain 8-bit RGB or RGBA in sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

WHITE = (255, 255, 255)
DARK = (32, 32, 32)
_SRGB = ImageCms.createProfile("sRGB")
_VISIBLE_SHARE = 0.03  # of the pixels: a mark that covers more, but shows less than this on white, is invisible
_SAMPLE = 64  # side of the small copy on which that is measured


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert to RGB, or to RGBA if there is transparency; 16 bits are scaled to 8, colour profiles are applied."""
    image = _to_eight_bits(image)
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    return _apply_profile(image, "RGBA" if transparent else "RGB")


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


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 16 or 32 bits to 8 bits, where Pillow's own conversion would clip it."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.asarray(image, np.float64)
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:  # the file does not say which value is white: take the smallest usual one that no pixel exceeds
        white = next((usual for usual in (1.0, 255.0, 65535.0) if values.max() <= usual), float(values.max()))
        white = max(white, 255.0) if image.mode == "I" else white
    return Image.fromarray((values / white * 255).round().clip(0, 255).astype(np.uint8))


def _apply_profile(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image to a mode, through its colour profile if that is not sRGB."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                alpha = image.getchannel("A") if image.mode == "RGBA" else None
                colours = image.convert("RGB") if alpha else image
                image = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB") or image
                if alpha:
                    image.putalpha(alpha)
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is broken, or made for another mode, says nothing about these colours
    return image.convert(mode)
