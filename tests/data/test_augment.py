"""Augmentation turns and mirrors as a hand would, with the corners asked for, each image by its own draw."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.data import augment
from logogan_jax.distributed import data_parallel

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (16, 9, 9, 3)), jnp.float32)
ROWS = prng.per_example_keys(jax.random.key(0), jnp.arange(16))


def test_flip_mirrors_about_half_and_changes_nothing_else():
    flipped = np.asarray(augment.flip(ROWS, IMAGES))
    same = [(new == old).all() for new, old in zip(flipped, IMAGES, strict=True)]
    mirrored = [(new == old[:, ::-1]).all() for new, old in zip(flipped, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 3 <= sum(mirrored) <= 13


def test_quarter_turns_move_pixels_exactly():
    for quarters in range(4):
        turned = augment.rotate_by(IMAGES[0], jnp.float32(quarters * np.pi / 2))
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


def turned_by_hand(image, angle, outside):
    """One image, pixel by pixel, between its four neighbours; `outside` None repeats the border."""
    height, width, _ = image.shape
    out = np.zeros(image.shape)
    for row, column in np.ndindex(height, width):
        y, x = row - (height - 1) / 2, column - (width - 1) / 2
        from_y = math.cos(angle) * y - math.sin(angle) * x + (height - 1) / 2
        from_x = math.sin(angle) * y + math.cos(angle) * x + (width - 1) / 2
        for i, j in np.ndindex(2, 2):
            at = math.floor(from_y) + i, math.floor(from_x) + j
            weight = (1 - abs(from_y - at[0])) * (1 - abs(from_x - at[1]))
            near = min(max(at[0], 0), height - 1), min(max(at[1], 0), width - 1)
            out[row, column] += weight * (image[near] if at == near or outside is None else outside)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("size", [(9, 9), (12, 6), (5, 10)])
@pytest.mark.parametrize(("channels", "corners", "outside"), [(3, "white", 1), (4, "white", -1), (1, "edge", None)])
def test_a_turn_is_that_of_plain_numpy(size, channels, corners, outside):
    images = np.random.default_rng(0).uniform(-1, 1, (4, *size, channels)).astype(np.float32)
    found = augment.rotate(ROWS[:4], images, 25.0, corners)
    angles = np.radians(prng.uniform(ROWS[:4], low=-25.0, high=25.0))
    expected = [turned_by_hand(image, angle, outside) for image, angle in zip(images, angles, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_edges_are_repeated_when_asked_for():
    black = jnp.full((4, 21, 21, 3), -1.0)
    np.testing.assert_allclose(augment.rotate(ROWS[:4], black, 20.0, "edge"), -1, atol=1e-6)
    with pytest.raises(UserError, match=r"config\.data\.corners is 'black': it should be one of white, edge"):
        augment.pipeline(rotate_degrees=20.0, mirror=True, corners="black")


def on_devices(count, view, row_keys, images):
    mesh = data_parallel.DataParallel("shard_map", len(images), jax.devices()[:count]).mesh
    split = P(data_parallel.AXIS)
    return jax.jit(jax.shard_map(view, mesh=mesh, in_specs=(split, split), out_specs=split))(row_keys, images)


@pytest.mark.slow
def test_frozen_views_are_those_of_the_row_whatever_the_keys():
    frozen = augment.pipeline(rotate_degrees=20.0, mirror=True, frozen=True)
    one = on_devices(1, frozen, ROWS, IMAGES)
    np.testing.assert_allclose(on_devices(4, frozen, ROWS[::-1], IMAGES), one, atol=1e-6)
    alike = on_devices(1, frozen, ROWS, jnp.broadcast_to(IMAGES[:1], IMAGES.shape))
    assert len({view.tobytes() for view in np.asarray(alike)}) == len(IMAGES)  # another view for each row
    thawed = augment.pipeline(rotate_degrees=20.0, mirror=True)
    assert np.abs(on_devices(1, thawed, ROWS, IMAGES) - on_devices(1, thawed, ROWS[::-1], IMAGES)).max() > 0.1


@pytest.mark.slow
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
