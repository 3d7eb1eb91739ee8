"""Known ways to spoil real logos, as functions of pixels uint8[n, S, S, 3], the training logos, and random numbers."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def each(change):
    """A change of one Image for a set of pixels."""
    return lambda pixels, *_: np.stack([np.asarray(change(Image.fromarray(x))) for x in pixels])


def blur(sigma):
    """Gaussian blur."""
    return each(lambda image: image.filter(ImageFilter.GaussianBlur(sigma)))


def noise(pixels, training, random):
    """Gaussian noise with a standard deviation of 8 levels of 255."""
    return np.clip(np.round(pixels + random.normal(0, 8, pixels.shape)), 0, 255).astype(np.uint8)


def jpeg(quality):
    """Saved as JPEG and opened again."""

    def change(image):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return each(change)


def hue(image):
    """Every hue a third of the circle further."""
    h, s, v = image.convert("HSV").split()
    return Image.merge("HSV", (h.point(lambda level: (level + 85) % 256), s, v)).convert("RGB")


def shapes(share):
    """A share of the logos replaced by coloured discs, boxes and triangles on white."""

    def change(pixels, training, random):
        pixels = pixels.copy()
        for i in range(round(share * len(pixels))):
            pixels[i] = drawing(random, pixels.shape[1])
        return pixels

    return change


def drawing(random, size):
    """One coloured shape on white, uint8[size, size, 3]."""
    large = 4 * size  # and averaged later, so that its edges are as smooth as the logos'
    image = Image.new("RGB", (large, large), "white")
    radius, colour = int(random.integers(large // 8, large * 3 // 8)), tuple(map(int, random.integers(0, 200, 3)))
    x, y = (int(v) for v in random.integers(radius, large - radius, 2))
    draw, box = ImageDraw.Draw(image), (x - radius, y - radius, x + radius, y + radius)
    kind = random.integers(3)
    if kind == 2:
        draw.regular_polygon((x, y, radius), 3, int(random.integers(360)), fill=colour)
    else:
        (draw.ellipse, draw.rectangle)[kind](box, fill=colour)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def collapse(kinds):
    """Only so many different logos, repeated."""
    return lambda pixels, *_: np.resize(pixels[:kinds], pixels.shape)


def reconstruct(components):
    """What is left of a logo in the first principal components of the training logos."""

    def change(pixels, training, random):
        flat = training.reshape(len(training), -1) / np.float32(255)
        mean = flat.mean(0)
        values, vectors = np.linalg.eigh((flat - mean) @ (flat - mean).T)  # fewer logos than pixels
        kept = [i for i in np.argsort(values)[-components:] if values[i] > 1e-6 * values.max()]
        basis = (flat - mean).T @ vectors[:, kept] / np.sqrt(values[kept])
        found = 255 * ((pixels.reshape(len(pixels), -1) / np.float32(255) - mean) @ basis @ basis.T + mean)
        return np.clip(np.round(found), 0, 255).astype(np.uint8).reshape(pixels.shape)

    return change


def shuffle(pixels, training, random):
    """The four quarters of each logo in a random order."""
    half = pixels.shape[1] // 2
    quarters = pixels.reshape(-1, 2, half, 2, half, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4, half, half, 3)
    mixed = random.permuted(np.tile(np.arange(4), (len(pixels), 1)), axis=1)
    quarters = np.take_along_axis(quarters, mixed[:, :, None, None, None], 1)
    return quarters.reshape(-1, 2, 2, half, half, 3).transpose(0, 1, 3, 2, 4, 5).reshape(pixels.shape)


CHANGES = {
    "as they are": lambda pixels, *_: pixels,
    "blur, sigma 0.5": blur(0.5),
    "blur, sigma 1": blur(1.0),
    "noise, 8 of 255": noise,
    "JPEG, quality 30": jpeg(30),
    "hue turned by 120 degrees": each(hue),
    "10 % plain shapes": shapes(0.1),
    "25 % plain shapes": shapes(0.25),
    "collapse: 200 logos twice": collapse(200),
    "collapse: 40 logos ten times": collapse(40),
    "100 principal components": reconstruct(100),
    "400 principal components": reconstruct(400),
    "quarters shuffled": shuffle,
}


# What is done to copies of training logos, so that they are harder to find.


def moved(pixels, *_):
    """One pixel down and to the right."""
    return np.pad(pixels, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")[:, :-1, :-1]


def mirrored(pixels, *_):
    """Left to right."""
    return np.ascontiguousarray(pixels[:, :, ::-1])


PLANTS = {
    "as they are": [],
    "moved by a pixel": [moved],
    "JPEG, quality 75": [jpeg(75)],
    "mirrored": [mirrored],
    "mirrored, moved, JPEG": [mirrored, moved, jpeg(75)],
}
