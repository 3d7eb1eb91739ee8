"""Addresses of pictures, what becomes of their latents, transparent grounds, and tracing."""

import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data_prep.pictures import svg, trace
from logogan_jax.core.errors import UserError
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training.drawing import addresses, flat_colours, latents, transparency


def test_addresses_are_seeds_ranges_and_pictures_of_a_seed():
    found = addresses.parse("1, 5,9-11,1:17,2:0-2", "seeds")
    assert [str(one) for one in found] == ["1:0", "5:0", "9:0", "10:0", "11:0", "1:17", "2:0", "2:1", "2:2"]
    assert [one.file_name for one in found[4:6]] == ["seed00011", "seed00001-00017"]
    assert addresses.numbered(-1, 3, 1) == [addresses.Address(2**32 - 1, 3)]  # as a key sees that seed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,",
        "-1",
        "1:",
        ":2",
        "1:2:3",
        "1.5",
        "9-",
        "9-5",
        "1:9-5",
        "4294967296",
        "1:2147483648",
        "0-100000",
        "9" * 99,
    ],
)
def test_what_is_no_address_is_one_line_with_the_flag(text):
    with pytest.raises(UserError) as error:
        addresses.parse(text, "seeds")
    assert str(error.value).startswith("--seeds") and len(str(error.value)) < 250


def test_truncation_moves_towards_the_mean_and_leaves_the_number_of_the_colour():
    z = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    mean = np.arange(8, dtype=np.float32)
    moved = latents.truncate(z, mean, 0.25, kept=1)
    np.testing.assert_allclose(moved[:, :7] - mean[:7], 0.25 * (z - mean)[:, :7], atol=1e-6)
    np.testing.assert_array_equal(moved[:, 7], z[:, 7])
    np.testing.assert_allclose(latents.truncate(z, 0.0, 0.5), 0.5 * z)


def test_the_way_between_latents_keeps_their_length_and_passes_through_each():
    ends = np.random.default_rng(0).normal(size=(3, 65)).astype(np.float32)
    mean = np.full(65, 2, np.float32)
    ends[:, :64] = mean[:64] + 8 * ends[:, :64] / np.linalg.norm(ends[:, :64], axis=1, keepdims=True)
    z, places = latents.path(ends, 4, mean, kept=1)
    assert places.tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    np.testing.assert_allclose(z[::4, :64], ends[:, :64], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm((z - mean)[:, :64], axis=1), 8, rtol=1e-4)
    assert z[:, 64].tolist() == [*[ends[0, 64]] * 4, *[ends[1, 64]] * 5]
    straight, _ = latents.path(ends[[0, 1]], 2, None)
    np.testing.assert_allclose(straight[1], ends[:2].mean(0), atol=1e-6)
    still, _ = latents.path(ends[[0, 0]], 2, 0.0)
    np.testing.assert_allclose(still, ends[[0, 0, 0]], atol=1e-6)


def test_the_prior_of_2018_that_is_uniform_has_no_middle():
    uniform = {name for name in ("walkthrough_dcgan", "walkthrough_wgan") if not OBJECTIVES[name](latent=4).prior_mean}
    assert uniform == {"walkthrough_dcgan", "walkthrough_wgan"}
    assert OBJECTIVES["gan"](latent=4).prior_mean(None) == 0.0


# ── Transparent grounds and SVG ─────────────────────────────────────────────────────────────

GROUND, BLUE, RED = (250, 248, 240), (30, 60, 200), (200, 20, 40)


def badge(ground=GROUND, side=32):
    """A blue ring around a red square, with the soft edges of a rasteriser: uint8[side, side, 3]."""
    image = Image.new("RGB", (8 * side, 8 * side), ground)
    draw = ImageDraw.Draw(image)
    draw.ellipse([24, 24, 8 * side - 24, 8 * side - 24], fill=BLUE)
    draw.ellipse([60, 60, 8 * side - 60, 8 * side - 60], fill=ground)
    draw.rectangle([100, 100, 150, 150], fill=RED)
    return np.asarray(image.reduce(8))


def laid_on(rgba, ground):
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + np.array(ground) * (1 - alpha)


def test_a_ground_of_one_colour_becomes_transparent_and_its_colour_leaves_the_edges():
    cut = transparency.from_ground(badge()[None])[0]
    assert (cut[0, :, 3] == 0).all() and cut[16, 10, 3] == 0 and cut[13, 13].tolist() == [*RED, 255]
    assert 0.2 < (cut[..., 3] > 0).mean() < 0.6 and ((cut[..., 3] > 0) & (cut[..., 3] < 255)).any()
    # On another ground it looks as if it had been drawn there.
    other = badge(ground=(0, 120, 0))
    assert np.abs(laid_on(cut, (0, 120, 0)) - other).mean() < 2


def test_a_picture_without_a_ground_stays_opaque():
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    made = transparency.from_ground(noise)
    np.testing.assert_array_equal(made[..., :3], noise)
    assert transparency.opaque(made).all()
    assert transparency.from_ground(noise[..., :1]).shape == (3, 16, 16, 4)


def test_inks_keep_their_colour_where_little_is_covered():
    shares = np.zeros((1, 1, 3, 2), np.uint8)
    shares[0, 0, 1, 0], shares[0, 0, 2] = 1, (100, 155)
    made = transparency.from_inks(shares, np.array([[[200, 100, 3], [0, 50, 103]]], np.uint8))
    assert made[0, 0].tolist() == [[0, 0, 0, 0], [200, 100, 3, 1], [78, 70, 64, 255]]


def fills(text):
    return re.findall('fill="(.*?)"', text)


def drawn_back(text, side=32):
    large = svg.render(svg.read(text.encode()), 4 * side)
    return np.asarray(large.reduce(4))


def test_the_svg_of_a_picture_has_its_colours_and_no_others():
    picture = badge()
    text = trace.to_svg(flat_colours.of_picture(picture, enlarged=8, scale=2))
    assert set(fills(text)) == {"#{:02x}{:02x}{:02x}".format(*colour) for colour in (GROUND, BLUE, RED)}
    assert 'width="64" height="64" viewBox="0 0 256 256"' in text
    assert np.abs(drawn_back(text)[..., :3].astype(float) - picture).mean() < 2
    cut = trace.to_svg(flat_colours.of_picture(transparency.from_ground(picture[None])[0], enlarged=8, scale=1))
    assert len(set(fills(cut))) == 2 and drawn_back(cut)[0, 0, 3] == 0 and drawn_back(cut)[13, 13, 3] == 255


def test_thin_strokes_are_no_ground():
    picture = np.full((32, 32, 3), 255, np.uint8)
    picture[4:28, 10], picture[4:28, 11], picture[20, 4:28] = (90, 90, 230), (120, 120, 235), (60, 60, 225)
    regions = flat_colours.of_picture(picture, enlarged=8, scale=1)
    assert regions.ground == "#ffffff" and len(regions.colours) == 1 and (regions.colour == 1).mean() > 0.03


def test_the_svg_of_inks_has_no_gaps_between_them_and_none_where_there_is_nothing():
    shares = np.zeros((64, 64, 2), np.uint8)
    rows, columns = np.mgrid[8:56, 8:56]
    is_left = 3 * columns + rows < 128  # a slanted seam
    shares[8:56, 8:56, 0], shares[8:56, 8:56, 1] = 255 * is_left, 255 * ~is_left
    inks = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    text = trace.to_svg(flat_colours.of_inks(shares, inks, "", enlarged=4, scale=1))
    assert fills(text) == ["#ff0000", "#0000ff"]
    back = np.asarray(svg.render(svg.read(text.encode()), 16))
    assert (back[3:13, 3:13, 3] == 255).all() and (back[0, :, 3] == 0).all()
    assert fills(trace.to_svg(flat_colours.of_inks(shares * 0, inks, "", enlarged=4, scale=1))) == []
    grey = trace.to_svg(flat_colours.of_inks(shares, inks[:, :1], flat_colours.WHITE, enlarged=4, scale=1))
    assert fills(grey) == ["#ffffff", "#ffffff", "#000000"]
