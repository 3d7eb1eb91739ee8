"""Pixels survive the border to floats and back, alpha is premultiplied inside, and sheets are on white."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from logogan_jax.core import images

EVERY = np.arange(256, dtype=np.uint8)


def every_rgba():
    """uint8[256, 256, 4]: every value of colour (as red, its opposite green, and half of it blue) with every alpha."""
    colour, alpha = np.meshgrid(EVERY, EVERY, indexing="ij")
    return np.stack([colour, 255 - colour, colour // 2, alpha], -1)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_alpha_every_value_survives_and_is_what_it_always_was(channels):
    pixels = np.repeat(EVERY[:, None, None], channels, -1)
    floats = images.to_float(pixels)
    np.testing.assert_array_equal(floats, pixels.astype(np.float32) / np.float32(127.5) - np.float32(1))
    np.testing.assert_array_equal(images.to_uint8(floats), pixels)
    np.testing.assert_array_equal(images.to_uint8(jnp.array([[[-1.2, 1.3, 0.002]]])), [[[0, 255, 128]]])


def test_every_colour_survives_with_every_alpha_and_is_gone_without():
    pixels = every_rgba()
    back = np.asarray(images.to_uint8(images.to_float(pixels)))
    np.testing.assert_array_equal(back[:, 255], pixels[:, 255])  # opaque
    np.testing.assert_array_equal(back[:, 0], 0)
    apart = np.abs(back[:, 1:].astype(int) - pixels[:, 1:])
    assert apart[..., 3].max() == 0
    # One step of a premultiplied value is 255 / alpha steps of the colour; float32 holds far less.
    assert (apart[..., :3].max((0, 2)) <= 255 / EVERY[1:].astype(float)).all()
    assert apart.max() <= 1


def test_floats_are_premultiplied():
    pixels = np.array([[[255, 0, 51, 51], [200, 100, 0, 255], [9, 8, 7, 0]]], np.uint8)
    expected = np.array([[[51, 0, 10.2, 51], [200, 100, 0, 255], [0, 0, 0, 0]]]) / 127.5 - 1
    np.testing.assert_allclose(images.to_float(pixels), expected, atol=1e-6)


def test_networks_may_say_anything():
    """More colour than alpha is full colour; what is nearly transparent is nothing."""
    said = jnp.array([[1.0, 0.2, -1.0, 0.0], [0.5, 0.5, 0.5, -1.0], [0.1, 0.1, 0.1, -0.997], [3.0, -3.0, 0.0, 3.0]])
    # alpha 0 is 127.5 of 255, rounded to 128; green 0.2 is 153 / 128 of it; blue 0.0 is 127.5 of an alpha of 255.
    expected = [[255, 255, 0, 128], [0, 0, 0, 0], [0, 0, 0, 0], [255, 0, 128, 255]]
    np.testing.assert_array_equal(images.to_uint8(said), expected)
    both = images.to_uint8(jnp.array([-0.2, -0.6, -1.0, 0.0]))  # 102 and 51 of 128
    np.testing.assert_array_equal(both, [203, 102, 0, 128])


def test_what_is_outside_is_white_or_nothing():
    for channels, pixel in ((1, [255]), (3, [255] * 3), (4, [0] * 4)):
        outside = jnp.full((channels,), images.background(channels))
        np.testing.assert_array_equal(images.to_uint8(outside), pixel)
        np.testing.assert_array_equal(images.to_float(np.array(pixel, np.uint8)), outside)


def test_on_white_is_the_rounded_mixture_for_numpy_and_jax():
    pixels = every_rgba()
    alpha = pixels[..., 3:] / 255
    expected = np.round(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    for found in (images.on_white(pixels), jax.jit(images.on_white)(pixels)):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)
    assert isinstance(images.on_white(pixels), np.ndarray)
    for channels in (1, 3):
        assert images.on_white(pixels[..., :channels]) is not None
        np.testing.assert_array_equal(images.on_white(pixels[..., :channels]), pixels[..., :channels])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("size", "columns", "scale"), [((56, 56), 3, 2), ((96, 48), 5, 1), ((20, 40), 3, 2)])
def test_sheets_are_nearly_square_and_on_white(tmp_path, channels, size, columns, scale):
    pixels = np.zeros((9 if size != (96, 48) else 10, *size, channels), np.uint8)
    if channels == 4:
        pixels[:, :, : size[1] // 2, 3] = 255  # the right half cannot be seen
    images.write_image_grid(tmp_path / "sheet.png", pixels)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    rows = -(-len(pixels) // columns)
    assert sheet.shape[:2] == tuple(scale * (n * (side + 2) + 2) for n, side in zip((rows, columns), size, strict=True))
    assert sheet.ndim == (2 if channels == 1 else 3) and (channels == 1 or sheet.shape[2] == 3)
    assert (sheet[: 2 * scale] == 255).all() and (sheet[2 * scale, 2 * scale] == 0).all()
    assert (sheet[3 * scale, (2 + size[1] - 1) * scale] == (255 if channels == 4 else 0)).all()


def test_a_single_picture_keeps_its_alpha(tmp_path):
    pixels = every_rgba()[:20, :10]
    images.write_png(tmp_path / "one.png", pixels, scale=2)
    with Image.open(tmp_path / "one.png") as image:
        assert image.mode == "RGBA" and image.size == (20, 40)
        np.testing.assert_array_equal(np.asarray(image)[::2, ::2], pixels)
