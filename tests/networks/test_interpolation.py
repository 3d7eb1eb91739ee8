"""Interpolation is that of NumPy, edges repeated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax.networks import interpolation


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (1, 1, 1, 1)])
def test_points_lie_evenly_in_each_pixel(axis, count, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = interpolation.points_along(jnp.asarray(x), axis, count)
    side = shape[axis]
    for number, point in enumerate(found):
        places = np.arange(side) + (number + 0.5) / count - 0.5
        expected = np.apply_along_axis(lambda row: np.interp(places, np.arange(side), row), axis, x)  # noqa: B023
        np.testing.assert_allclose(point, expected, atol=1e-6)


def test_the_gradient_of_a_pixel_is_its_share_of_all_points():
    # Each point is a mean of pixels, so the gradients of all points add up to their number.
    total = lambda x: sum(point.sum() for point in interpolation.points_along(x, 2, 4))
    np.testing.assert_allclose(jax.grad(total)(jnp.zeros((1, 2, 3, 1))).sum(), 2 * 3 * 4, rtol=1e-6)
