"""The ink of an image is its one flat colour, whatever the ground and however soft the edges."""

import numpy as np
import pytest

from logogan_jax.core import images
from logogan_jax.core.errors import UserError
from logogan_jax.data import inks

COLOURS = np.array([[200, 0, 0], [0, 90, 255], [250, 250, 240]], np.uint8)


@pytest.fixture
def transparent():
    """Squares with soft edges in three inks, uint8[3, 12, 12, 4]."""
    alpha = np.zeros((3, 12, 12, 1), np.uint8)
    alpha[:, 2:10, 2:10] = 128
    alpha[:, 3:9, 3:9] = 255
    return np.concatenate([np.broadcast_to(COLOURS[:, None, None], (3, 12, 12, 3)), alpha], -1)


class Shown:
    def __init__(self, pixels):
        self.all = pixels

    def pixels(self, limit):
        return self.all[:limit]


def test_inks_with_alpha_and_on_white_are_the_same(transparent):
    np.testing.assert_array_equal(inks.image_inks(transparent), COLOURS)
    np.testing.assert_array_equal(inks.image_inks(images.on_white(transparent)), COLOURS)


def test_an_image_that_shows_nothing_has_no_ink(transparent):
    transparent[1, ..., 3] = 0
    for pixels in (transparent, images.on_white(transparent)):
        np.testing.assert_array_equal(inks.image_inks(pixels), COLOURS[[0, 2]])


def test_grey_images_have_grey_inks(transparent):
    grey = images.on_white(transparent)[..., :1]
    np.testing.assert_array_equal(inks.image_inks(grey), COLOURS[:, :1])
    assert inks.to_table(inks.dataset_inks(Shown(grey))).shape == (inks.MAX_IMAGES, 1)


def test_inks_are_recorded_as_text_and_read_again(transparent):
    found = inks.dataset_inks(Shown(transparent))
    assert found == ("#c80000", "#005aff", "#fafaf0")
    table = inks.to_table(found)
    np.testing.assert_allclose(table[:6] * 255, np.concatenate([COLOURS, COLOURS]))
    assert table.shape == (inks.MAX_IMAGES, 3)


def test_images_that_show_nothing_have_no_inks(transparent):
    with pytest.raises(UserError, match="colours is 'data', but no image shows anything"):
        inks.dataset_inks(Shown(np.full((4, 8, 8, 3), 255, np.uint8)))
    assert len(inks.dataset_inks(Shown(np.concatenate([transparent] * 300)))) == inks.MAX_IMAGES
