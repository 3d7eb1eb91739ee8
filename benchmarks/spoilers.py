"""Known ways to spoil real logos, to test whether metrics notice.

A change is a function (pixels, training logos, random generator) -> pixels; pixels are uint8[n, S, S, 3].
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Change = Callable[..., np.ndarray]


def per_image(function: Callable[[Image.Image], Image.Image]) -> Change:
    """Return the change that applies a function to every image."""
    return lambda pixels, *_: np.stack([np.asarray(function(Image.fromarray(x))) for x in pixels])


def blur(sigma: float) -> Change:
    """Return a Gaussian blur."""
    return per_image(lambda image: image.filter(ImageFilter.GaussianBlur(sigma)))


def noise(pixels: np.ndarray, training: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise with a standard deviation of 8 levels of 255."""
    return np.clip(np.round(pixels + rng.normal(0, 8, pixels.shape)), 0, 255).astype(np.uint8)


def jpeg(quality: int) -> Change:
    """Return the change that encodes every image as JPEG and decodes it again."""

    def encode_and_decode(image):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return per_image(encode_and_decode)


def rotate_hue(image: Image.Image) -> Image.Image:
    """Rotate every hue by 120 degrees."""
    h, s, v = image.convert("HSV").split()
    return Image.merge("HSV", (h.point(lambda level: (level + 85) % 256), s, v)).convert("RGB")


def shapes(share: float) -> Change:
    """Return the change that replaces a share of the logos by coloured discs, boxes and triangles on white."""

    def replace(pixels, training, rng):
        pixels = pixels.copy()
        for i in range(round(share * len(pixels))):
            pixels[i] = draw_shape(rng, pixels.shape[1])
        return pixels

    return replace


def draw_shape(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one coloured shape on white: uint8[size, size, 3]."""
    large = 4 * size  # made smaller at the end, so that its edges are as smooth as those of the logos
    image = Image.new("RGB", (large, large), "white")
    radius = int(rng.integers(large // 8, large * 3 // 8))
    colour = tuple(map(int, rng.integers(0, 200, 3)))
    x, y = (int(v) for v in rng.integers(radius, large - radius, 2))
    draw = ImageDraw.Draw(image)
    box = (x - radius, y - radius, x + radius, y + radius)
    kind = rng.integers(3)
    if kind == 2:
        draw.regular_polygon((x, y, radius), 3, int(rng.integers(360)), fill=colour)
    else:
        (draw.ellipse, draw.rectangle)[kind](box, fill=colour)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def collapse(kinds: int) -> Change:
    """Return the change that repeats the first `kinds` logos."""
    return lambda pixels, *_: np.resize(pixels[:kinds], pixels.shape)


def reconstruct(components: int) -> Change:
    """Return the change that keeps only the first principal components of the training logos."""

    def project(pixels, training, rng):
        flat = training.reshape(len(training), -1) / np.float32(255)
        mean = flat.mean(0)
        values, vectors = np.linalg.eigh((flat - mean) @ (flat - mean).T)  # fewer logos than pixels
        kept = [i for i in np.argsort(values)[-components:] if values[i] > 1e-6 * values.max()]
        basis = (flat - mean).T @ vectors[:, kept] / np.sqrt(values[kept])
        projected = 255 * ((pixels.reshape(len(pixels), -1) / np.float32(255) - mean) @ basis @ basis.T + mean)
        return np.clip(np.round(projected), 0, 255).astype(np.uint8).reshape(pixels.shape)

    return project


def shuffle(pixels: np.ndarray, training: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put the four quarters of each logo in a random order."""
    half = pixels.shape[1] // 2
    quarters = pixels.reshape(-1, 2, half, 2, half, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4, half, half, 3)
    order = rng.permuted(np.tile(np.arange(4), (len(pixels), 1)), axis=1)
    quarters = np.take_along_axis(quarters, order[:, :, None, None, None], 1)
    return quarters.reshape(-1, 2, 2, half, half, 3).transpose(0, 1, 3, 2, 4, 5).reshape(pixels.shape)


CHANGES = {
    "as they are": lambda pixels, *_: pixels,
    "blur, sigma 0.5": blur(0.5),
    "blur, sigma 1": blur(1.0),
    "noise, 8 of 255": noise,
    "JPEG, quality 30": jpeg(30),
    "hue turned by 120 degrees": per_image(rotate_hue),
    "10 % plain shapes": shapes(0.1),
    "25 % plain shapes": shapes(0.25),
    "collapse: 200 logos twice": collapse(200),
    "collapse: 40 logos ten times": collapse(40),
    "100 principal components": reconstruct(100),
    "400 principal components": reconstruct(400),
    "quarters shuffled": shuffle,
}


# Changes that make copies of training logos harder to find.


def shift(pixels: np.ndarray, *_: object) -> np.ndarray:
    """Shift every image by one pixel down and to the right."""
    return np.pad(pixels, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")[:, :-1, :-1]


def mirror(pixels: np.ndarray, *_: object) -> np.ndarray:
    """Mirror every image, left to right."""
    return np.ascontiguousarray(pixels[:, :, ::-1])


PLANTS = {
    "as they are": [],
    "moved by a pixel": [shift],
    "JPEG, quality 75": [jpeg(75)],
    "mirrored": [mirror],
    "mirrored, moved, JPEG": [mirror, shift, jpeg(75)],
}
