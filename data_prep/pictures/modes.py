"""Pictures of any mode, depth and colour profile as plain 8-bit RGB or RGBA in sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

WHITE, DARK = (255, 255, 255), (32, 32, 32)
_SRGB = ImageCms.createProfile("sRGB")
_SEEN = 0.03  # share of the pixels below which a mark counts as not to be seen
_SAMPLE = 64  # side of the copy on which that is measured


def to_srgb(image):
    """Pillow image of any mode -> RGB, or RGBA if it has transparency; 16 bits are scaled, profiles applied."""
    image = _eight_bits(image)
    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    return _srgb(image, "RGBA" if clear else "RGB")


def choose_background(image):
    """The colour that belongs behind an RGBA image: white, or near-black if on white it could not be seen."""
    small = np.asarray(image.resize((_SAMPLE, _SAMPLE), Image.Resampling.BOX)).astype(np.int32)
    opaque, darkest = small[..., 3], small[..., :3].min(-1)
    covered = (opaque > 24).mean()
    seen = (opaque * (255 - darkest) > 15 * 255).mean()
    return DARK if seen < _SEEN < covered else WHITE


def composite(colour, image):
    """An RGBA image laid over a colour -> RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, (*colour, 255)), image).convert("RGB")


def _eight_bits(image):
    """Grey of 16 or 32 bits, which Pillow would clip, scaled to 8."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.asarray(image, np.float64)
    if image.mode.startswith("I;16"):
        top = 65535.0
    else:  # the file does not say what white is
        top = next((top for top in (1.0, 255.0, 65535.0) if values.max() <= top), float(values.max()))
        top = max(top, 255.0) if image.mode == "I" else top
    return Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))


def _srgb(image, mode):
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                alpha = image.getchannel("A") if image.mode == "RGBA" else None
                colours = image.convert("RGB") if alpha else image
                image = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
                if alpha:
                    image.putalpha(alpha)
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that cannot be read or is for another mode says nothing of these colours
    return image.convert(mode)
