"""The preparation of one image: modes, transparency, orientation, SVG, the embedded logos."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep import convert, make_logos, resize_center, svg_to_png

SQUARE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}"><rect width="{w}" height="{h}" fill="#f00"/></svg>'
)


def test_transparency_is_laid_on_white():
    # Grey 10 at alpha 128: 10 * 128/255 + 255 * 127/255 = 132.
    half = Image.new("RGBA", (8, 8), (10, 10, 10, 128))
    assert (resize_center.fit(half, 8, 3) == 132).all()
    clear = Image.new("LA", (8, 8), (0, 0))
    assert (resize_center.fit(clear, 8, 1) == 255).all()
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([200, 0, 0] * 256)
    palette.info["transparency"] = 0
    assert (resize_center.fit(palette, 8, 3) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"])
def test_every_mode_comes_out_as_asked(mode):
    image = Image.new(mode, (30, 20))
    assert resize_center.fit(image, 16, 3).shape == (16, 16, 3)
    assert resize_center.fit(image, 16, 1).shape == (16, 16, 1)


def test_sixteen_bits_are_scaled_not_clipped():
    image = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert abs(int(resize_center.fit(image, 8, 1).mean()) - 128) <= 1


def test_the_centre_square_is_kept():
    wide = Image.new("RGB", (30, 10), "white")
    wide.paste("black", (10, 0, 20, 10))
    assert (resize_center.fit(wide, 10, 3) == 0).all()


def test_a_photograph_is_turned_upright():
    image = Image.new("RGB", (8, 8), "white")
    image.paste("black", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    stream = io.BytesIO()
    image.save(stream, format="PNG", exif=exif)
    upright = resize_center.fit(Image.open(io.BytesIO(stream.getvalue())), 8, 1)[..., 0]
    assert (upright[:, 4:] == 0).all() and (upright[:, :4] == 255).all()


@pytest.mark.parametrize(("w", "h"), [(24, 24), (100, 10), (10, 100)])
def test_svg_is_drawn_with_its_shorter_side_as_asked(w, h):
    image = svg_to_png.render(SQUARE.format(w=w, h=h), 28)
    assert image.mode == "RGBA" and min(image.size) in (28, 29)
    assert (resize_center.fit(image, 28, 3) == (255, 0, 0)).all()


def test_conversion_gives_reasons_and_never_raises():
    good = convert.convert(convert.Item("a.svg", 0, SQUARE.format(w=9, h=9).encode()), 28, 3)
    assert good.png.startswith(b"\x89PNG") and not good.reason and len(good.sha256) == 64
    for name, source in [("a.svg", b"\xff\xfe"), ("a.png", b"x"), ("a.png", "/nowhere/a.png")]:
        assert convert.convert(convert.Item(name, 0, source), 28, 3).reason


def test_embedded_logos_are_the_free_ones_on_white_and_visible():
    items = make_logos.icons()
    assert len(items) == 3255
    sample = items[::60] + [item for item in items if b"#202020" in item.source][:5]
    for item in sample:
        converted = convert.convert(item, 28, 3)
        pixels = np.asarray(Image.open(io.BytesIO(converted.png)))
        assert (pixels[0] >= 250).all() and (pixels[:, 0] >= 250).all(), item.name
        assert (255 - pixels.astype(int)).max(-1).mean() > 3, item.name


@pytest.mark.parametrize(
    ("colour", "name"),
    [("000000", "black"), ("FF0000", "red"), ("FF8000", "orange"), ("FFEE00", "yellow"), ("00B140", "green"),
     ("40E0F0", "cyan"), ("1877F2", "blue"), ("8000FF", "purple"), ("FF00A0", "pink"), ("808080", "grey"),
     ("FF0011", "red"), ("FFFFFF", "grey")],
)  # fmt: skip
def test_colour_classes(colour, name):
    assert make_logos.colour_class(colour) == name
