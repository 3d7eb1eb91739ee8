"""Marks in few flat inks are told from photographs and gradients, on any ground and after JPEG."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from logogan_jax.core import images
from logogan_jax.data import ink_counts
from logogan_jax.data.ink_counts import count_inks

SIDE = 28
INKS = ((220, 30, 40), (20, 70, 200), (250, 190, 0), (0, 140, 60))


def drawn(number, colours, side=SIDE):
    """A mark in some inks at a side, as a rasteriser draws it: uint8[side, side, 4]."""
    large = 8 * side
    alpha = Image.new("L", (large, large))
    colour = Image.new("RGB", (large, large), colours[0])
    step = large // len(colours)
    for i, ink in enumerate(colours):
        ImageDraw.Draw(colour).rectangle((i * step, 0, (i + 1) * step - 1, large), fill=ink)
    margin = (1 + number % 3) * 8
    ImageDraw.Draw(alpha).ellipse((margin, margin, large - margin, large - margin), fill=255)
    ImageDraw.Draw(alpha).line((0, number * 8, large, large - number * 8), fill=0, width=3 * number)
    alpha = np.asarray(alpha.resize((side, side), Image.Resampling.BOX))
    return np.dstack([np.asarray(colour.resize((side, side), Image.Resampling.BOX)), alpha])


def marks(colours):
    return np.stack([drawn(number, colours) for number in range(8)])


def saved_as_jpeg(number, colours, quality=60):
    """A mark that was saved as a JPEG of 112 pixels and brought to 28."""
    stream = io.BytesIO()
    Image.fromarray(images.on_white(drawn(number, colours, 112))).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def photograph(seed, channels=3):
    """Soft shapes of many colours with texture on them, as a camera sees a scene."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (7, 7, 3)).astype(np.uint8))
    scene = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1)))
    grain = random.normal(0, 6, (SIDE, SIDE, 1))
    picture = np.clip(scene + grain, 0, 255).astype(np.uint8)
    return picture if channels == 3 else picture.mean(-1, keepdims=True).astype(np.uint8)


def gradient(number, one=(0, 20, 160), other=(255, 200, 220)):
    """A disc whose colour goes from one to another."""
    share = np.linspace(0, 1, SIDE)[:, None, None]
    colour = np.broadcast_to((1 - share) * one + share * other, (SIDE, SIDE, 3))
    return images.on_white(np.dstack([colour.astype(np.uint8), drawn(number, INKS[:1])[..., 3]]))


@pytest.mark.parametrize("ground", ["white", "transparent"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_inks_are_counted_on_any_ground(ground, count):
    pictures = marks(INKS[:count])
    pictures = images.on_white(pictures) if ground == "white" else pictures
    assert [count_inks(picture) for picture in pictures] == [count] * 8


def test_the_ink_may_be_pale_or_grey_and_the_mark_thin():
    pale = images.on_white(marks([(250, 250, 240)]))
    assert [count_inks(picture) for picture in pale] == [1] * 8
    assert [count_inks(picture) for picture in images.on_white(marks([(90, 90, 90)]))[..., :1]] == [1] * 8
    hairs = np.full((1, SIDE, SIDE, 3), 255, np.uint8)
    hairs[:, 3:25:4, 2:26] = (140, 190, 160)  # lines half as wide as a pixel, in the ink (25, 125, 65)
    hairs[:, 2:26, 13] = (25, 125, 65)
    assert count_inks(hairs[0]) == 1


def test_a_picture_that_shows_nothing_has_no_ink():
    assert count_inks(np.full((8, 8, 3), 255, np.uint8)) == 0
    assert count_inks(np.zeros((8, 8, 4), np.uint8)) == 0
    assert ink_counts.share([0, 0], 1) == 0 and ink_counts.choose_inks([0, 0]) == 0


@pytest.mark.parametrize("count", [1, 3])
def test_jpeg_does_not_add_inks(count):
    counts = [count_inks(saved_as_jpeg(number, INKS[:count])) for number in range(8)]
    assert ink_counts.choose_inks(counts) == count


@pytest.mark.parametrize("picture", [photograph, lambda seed: photograph(seed, 1), gradient])
def test_photographs_and_gradients_are_in_more_inks(picture):
    counts = [count_inks(picture(number)) for number in range(8)]
    assert min(counts) > 1 and counts.count(4) >= 7
    assert ink_counts.choose_inks(counts) == 0


def test_large_pictures_are_counted_by_some_of_their_pixels():
    large = images.on_white(drawn(3, INKS[:2], 224))
    assert len(ink_counts.visible_points(large).values) <= 1_024
    assert count_inks(large) == 2


def test_the_line_names_the_least_inks_that_draw_most_images():
    many = "--config.mark.inks=0 draws a colour for every pixel, as photographs and gradients need."
    for counts, line in [
        ([1] * 8 + [3, 4], "80% of the images are marks in one flat colour: --config.mark.inks=1 draws such marks."),
        ([1] * 7 + [2, 3, 4, 0], "80% of the images are marks in at most 2 flat colours: --config.mark.inks=2 draws"),
        ([2, 2, 3, 3, 4], "80% of the images are marks in at most 3 flat colours: --config.mark.inks=3 draws such"),
        ([1, 2, 4, 4], f"50% of the images are marks in at most 3 flat colours: {many}"),
    ]:
        assert ink_counts.describe(counts).startswith(line)
    assert ink_counts.tally([1, 1, 4, 0]) == {"none": 1, "1": 2, "2": 0, "3": 0, "more than 3": 1}
