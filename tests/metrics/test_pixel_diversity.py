"""How different pictures are is their mean distance, of RGBA as it is seen on white."""

import jax
import numpy as np
import pytest

from logogan_jax.core import images
from logogan_jax.metrics.pixel_diversity import mean_pairwise_distance


def by_hand(pixels):
    """Over every pair."""
    flat = pixels.reshape(len(pixels), -1) / 255
    pairs = [(i, j) for i in range(len(flat)) for j in range(i)]
    return np.mean([np.sqrt(np.square(flat[i] - flat[j]).mean()) for i, j in pairs])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_spread_is_the_mean_distance_of_two_pictures(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 6, channels), dtype=np.uint8)
    np.testing.assert_allclose(jax.jit(mean_pairwise_distance)(pixels), by_hand(images.on_white(pixels)), rtol=1e-4)


@pytest.mark.slow
def test_black_and_white_are_one_apart_and_the_same_picture_nothing():
    pixels = np.zeros((2, 4, 4, 4), np.uint8)
    pixels[0, ..., 3] = 255
    np.testing.assert_allclose(mean_pairwise_distance(pixels), 1.0, rtol=1e-6)
    pixels[0, ..., 3] = 0
    pixels[1, ..., :3] = 77  # which nobody sees
    np.testing.assert_allclose(mean_pairwise_distance(pixels), 0.0, atol=1e-6)
