"""The largest centred square of a picture, on white, at the training size."""

import numpy as np
from PIL import Image, ImageOps

from logogan_jax.data.shards import MODES

WHITE = (255, 255, 255, 255)


def fit(image, size, channels):
    """Pillow image of any mode -> uint8[size, size, channels]: upright, on white, cropped, Lanczos in sRGB values."""
    image = flatten(ImageOps.exif_transpose(image))
    square = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(square.convert(MODES[channels])).reshape(size, size, channels)


def flatten(image):
    """Any mode -> RGB, transparency laid over white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 and 32 bit: Pillow would clip, not scale
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        image = Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")
    return image.convert("RGB")
