"""Copies of training images are found, whatever was done to them, and new images seldom taken for copies."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep import icon_sets
from data_prep.pictures.convert import ImageSpec, convert
from logogan_jax.metrics import memorization, memorization_page
from logogan_jax.metrics.features import Features

SIZE, HELD = 28, 60
RATE = 0.05  # with 320 logos, one in a hundred would be three


def seen(pixels):
    """Features of a network that there is no need to run: random mixtures of what a coarse picture has."""
    flat = pixels.reshape(len(pixels), SIZE // 4, 4, SIZE // 4, 4, -1).mean((2, 4)).reshape(len(pixels), -1) / 255
    mixture = np.random.default_rng(7).normal(size=(flat.shape[1], 64)) / np.sqrt(flat.shape[1])
    head = np.abs((flat - 1) @ mixture).astype(np.float32)
    return Features(head, head)


def known(pixels):
    return pixels, seen(pixels)


def drawn(items):
    """uint8[n, 28, 28, 3]."""
    return np.stack([np.asarray(Image.open(io.BytesIO(convert(item, ImageSpec(SIZE)).png))) for item in items])


@pytest.fixture(scope="module")
def logos():
    """uint8[326, 28, 28, 3] of real logos."""
    return drawn(icon_sets.simple_icons()[::10])


@pytest.fixture(scope="module")
def others():
    """uint8[95, 28, 28, 3] of other real logos."""
    return drawn(icon_sets.simple_icons()[5::10][:95])


@pytest.fixture(scope="module")
def detector(logos):
    return memorization.MemorizationDetector(*known(logos[:-HELD]), known(logos[-HELD:]), false_alarm_rate=RATE)


def moved(pixels, down, right):
    padded = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    return padded[:, 2 - down : 2 - down + SIZE, 2 - right : 2 - right + SIZE]


def jpeg(pixels):
    def saved(image):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=75)
        return np.asarray(Image.open(stream))

    return np.stack([saved(image) for image in pixels])


KINDS = {
    "as it is": lambda pixels: pixels,
    "moved": lambda pixels: moved(pixels, 1, -1),
    "moved by two": lambda pixels: moved(pixels, -2, 2),
    "mirrored": lambda pixels: pixels[:, :, ::-1],
    "saved": jpeg,
    "all of it": lambda pixels: jpeg(moved(pixels[:, :, ::-1], 0, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_are_found(logos, others, detector, kind):
    """Five of a hundred are copies of training logos; the others are logos that the detector never saw."""
    chosen = np.random.default_rng(0).choice(len(logos) - HELD, 5, replace=False)
    images = np.concatenate([KINDS[kind](logos[chosen]), others])
    found = detector.find(images, seen(images))
    assert found.copied[:5].all()
    assert (found.nearest_pixel[:5] == chosen).all()
    assert found.copied[5:].mean() <= 2 * RATE


def test_false_alarms_are_as_stated(logos, detector):
    new = detector.find(*known(logos[-HELD:]))
    assert new.copied.sum() == detector.held_out_alarms <= 2 * RATE * HELD
    assert detector.calibrated == len(logos) - detector.repeated
    blind = memorization.MemorizationDetector(*known(logos[:-HELD]), false_alarm_rate=RATE)
    assert blind.held_out == 0
    assert blind.find(*known(logos[-HELD:])).copied.mean() <= 2 * RATE  # of these it knew nothing


def test_at_most_the_stated_share_lies_below_the_limits_and_no_more_would_fit():
    random = np.random.default_rng(0)
    ratios = np.stack([random.uniform(size=1000), random.uniform(size=1000)])
    found = memorization.limits(ratios, share=0.1)
    assert found.shape == (2, 1)
    assert (ratios < found).any(0).mean() == pytest.approx(0.1, abs=0.0011)
    below = (ratios < found).sum(1)
    assert below[0] == below[1]
    alike = memorization.limits(np.stack([ratios[0]] * 2), share=0.1)
    np.testing.assert_allclose(alike[:, 0], np.sort(ratios[0])[100])


@pytest.mark.slow
def test_pictures_that_are_in_both_parts_do_not_move_the_limits(logos, detector):
    """Ten training logos come twice, and ten of them are among the held-out ones, too."""
    twice = np.concatenate([logos[:10], logos[:-HELD]])
    leaking = np.concatenate([logos[-HELD:], logos[20:30]])
    spoilt = memorization.MemorizationDetector(*known(twice), known(leaking), false_alarm_rate=RATE)
    assert spoilt.repeated == detector.repeated + 20
    assert spoilt.calibrated == detector.calibrated
    images = np.concatenate([logos[-HELD:], jpeg(logos[:20])])
    one, other = (each.find(images, seen(images)) for each in (detector, spoilt))
    np.testing.assert_allclose(one.distance_pixel, other.distance_pixel, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one.distance_feature, other.distance_feature, rtol=1e-4, atol=1e-5)
    for field in ("nearest_pixel", "nearest_feature"):
        assert (twice[getattr(other, field)] == logos[getattr(one, field)]).all()


@pytest.mark.slow
def test_a_training_image_held_to_the_others_is_as_one_that_was_never_there(logos, detector):
    """Else limits set by training images would not be those of new ones."""
    for number in range(6):
        left = np.delete(logos[:40], number, axis=0)
        whole, fewer = (
            memorization.MemorizationDetector(*known(logos[:40])),
            memorization.MemorizationDetector(*known(left)),
        )
        for kind, rows in (("by_feature", seen(logos).head), ("by_pixel", logos)):
            neighbors, without = getattr(whole, kind), getattr(fewer, kind)
            here = neighbors.of_training(np.array([number]))
            there = without.of(rows[number : number + 1])
            assert np.delete(np.arange(40), number)[there.nearest] == here.nearest
            np.testing.assert_allclose(here.ratio, there.ratio, rtol=1e-4)


def test_the_nearest_in_pixels_is_that_of_plain_numpy(logos):
    """Every training logo, every shift and both ways round, without the grid's program."""
    training, images = logos[:40], logos[40:48]

    def grid(pixels):
        x = pixels.reshape(len(pixels), 14, 2, 14, 2, 3).astype(np.float64).mean((2, 4)) / 255
        bright = x @ [0.299, 0.587, 0.114]
        return np.concatenate([np.sqrt(3) * bright[..., None], 0.25 * (x - bright[..., None])], -1)

    distance = np.full((8, 40), np.inf)
    for both in (images, images[:, :, ::-1]):
        for down in range(-2, 3):
            for right in range(-2, 3):
                apart = grid(moved(both, down, right))[:, None] - grid(training)
                distance = np.minimum(distance, np.sqrt(np.square(apart).mean((2, 3, 4))))
    made = memorization.MemorizationDetector(*known(training))
    near = made.by_pixel.of(images)
    np.testing.assert_array_equal(near.nearest, distance.argmin(1))
    np.testing.assert_allclose(near.distance, distance.min(1), rtol=1e-4)


@pytest.mark.slow
def test_an_image_may_be_of_any_size_and_kind(logos):
    grey = logos[:30, :25, :26, :1]
    head = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    made = memorization.MemorizationDetector(grey[:25], Features(head[:25], head[:25]))
    found = made.find(grey[20:], Features(head[20:], head[20:]))
    assert found.copied[:5].all()
    assert (found.nearest_pixel[:5] == np.arange(20, 25)).all()


@pytest.mark.slow
def test_transparent_images_are_seen_on_white_and_may_be_tall(logos):
    """The same as their composites, whatever colours are hidden where nothing is seen."""
    white = logos[:40, :, 7:21]  # 28 x 14
    clear = (white == 255).all(-1, keepdims=True)
    hidden = np.random.default_rng(0).integers(0, 256, white.shape, dtype=np.uint8)
    rgba = np.concatenate([np.where(clear, hidden, white), np.where(clear, 0, 255).astype(np.uint8)], -1)
    head = seen(logos[:40]).head
    known, new, again = (Features(head[rows], head[rows]) for rows in (slice(30), slice(20, None), [*range(30), 0]))
    opaque, transparent = (memorization.MemorizationDetector(x[:30], known) for x in (white, rgba))
    one, other = opaque.find(white[20:], new), transparent.find(rgba[20:], new)
    assert other.copied[:10].all()
    for here, there in zip(one, other, strict=True):
        np.testing.assert_array_equal(here, there)
    twice = np.concatenate([rgba[:30], np.concatenate([white[:1], 255 - clear[:1] * np.uint8(255)], -1)])
    assert memorization.MemorizationDetector(twice, again).repeated == transparent.repeated + 1
    text = memorization_page.page(rgba[20:], other, rgba[:30], detector=transparent, title="tall")
    assert text == memorization_page.page(white[20:], one, white[:30], detector=opaque, title="tall")
    assert 'width="42"' in text  # three screen pixels for each of 14, so that the longer side has 84


def test_few_pictures_are_refused(logos):
    same = np.repeat(logos[:4], 3, axis=0)
    with pytest.raises(ValueError, match="4 different training images are too few"):
        memorization.MemorizationDetector(*known(same))


def test_searching_in_parts_changes_nothing(logos, detector, monkeypatch):
    whole = detector.find(*known(logos[::5]))
    monkeypatch.setattr(memorization, "_CHUNK", 9)
    for one, other in zip(whole, detector.find(*known(logos[::5])), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_page_shows_the_closest_first_and_escapes_names(logos, detector, tmp_path):
    images = np.concatenate([logos[-10:], logos[3:5]])
    found = detector.find(*known(images))
    memorization_page.write(
        tmp_path / "copies.html", images, found, logos[:-HELD], detector=detector, title="runs/<mine>"
    )
    text = (tmp_path / "copies.html").read_text()
    assert "runs/&lt;mine&gt;" in text and "<script" not in text and "://" not in text
    assert f"{found.copied.sum()} of 12" in text
    assert f"{detector.held_out_alarms} of {detector.held_out}" in text
    assert text.index("image 10") < text.index("image 11") < text.index("image 0<")
    assert text.count('class="box') == 12 and text.count("<img") == 36
