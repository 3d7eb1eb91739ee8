"""Augmentation turns and mirrors as a hand would, white outside, each image by its own draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax import augment, keys

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (16, 9, 9, 3)), jnp.float32)
ROWS = keys.rows(jax.random.key(0), jnp.arange(16))


def test_flip_mirrors_about_half_and_changes_nothing_else():
    flipped = np.asarray(augment.flip(ROWS, IMAGES))
    same = [(new == old).all() for new, old in zip(flipped, IMAGES, strict=True)]
    mirrored = [(new == old[:, ::-1]).all() for new, old in zip(flipped, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 3 <= sum(mirrored) <= 13


def test_quarter_turns_move_pixels_exactly():
    for quarters in range(4):
        turned = augment._turn(IMAGES[0], jnp.float32(quarters * np.pi / 2))
        expected = {0: IMAGES[0], 1: np.rot90(IMAGES[0], 1), 2: np.rot90(IMAGES[0], 2), 3: np.rot90(IMAGES[0], 3)}
        gap = min(np.abs(turned - expected[quarters]).max(), np.abs(turned - expected[-quarters % 4]).max())
        assert gap < 1e-4, quarters


def test_corners_come_in_white():
    black = jnp.full((4, 21, 21, 3), -1.0)
    turned = np.asarray(augment.rotate(ROWS[:4], black, 20.0))
    assert (turned[:, 10, 10] == -1).all()
    assert turned.max() > 0.5
    assert turned.min() >= -1 and turned.max() <= 1


def test_angles_stay_within_the_bound_and_differ():
    # A bar along the x axis: its slope in the turned image tells the angle.
    bar = jnp.ones((16, 41, 41, 1)).at[:, 20].set(-1.0)
    turned = 1 - np.asarray(augment.rotate(ROWS, bar, 20.0))[..., 0]
    rows = np.arange(41)[:, None]
    heights = [(image[:, 5] @ rows / image[:, 5].sum()).item() for image in turned]
    angles = np.degrees(np.arctan((np.array(heights) - 20) / 15))
    assert np.abs(angles).max() < 21 and np.ptp(angles) > 10


def test_an_image_is_treated_alike_in_any_batch():
    view = augment.pipeline(rotate_degrees=20.0, mirror=True)
    np.testing.assert_allclose(view(ROWS, IMAGES)[8:], view(ROWS[8:], IMAGES[8:]), atol=1e-6)


@pytest.mark.parametrize(("degrees", "mirror"), [(0.0, False), (20.0, False), (0.0, True)])
def test_each_part_is_switched_by_itself(degrees, mirror):
    viewed = augment.pipeline(rotate_degrees=degrees, mirror=mirror)(ROWS, IMAGES)
    changed = [not np.allclose(new, old) for new, old in zip(viewed, IMAGES, strict=True)]
    mirrored = [
        any(np.allclose(new, other) for other in (old, old[:, ::-1])) for new, old in zip(viewed, IMAGES, strict=True)
    ]
    assert any(changed) == bool(degrees or mirror)
    assert all(mirrored) == (degrees == 0)
