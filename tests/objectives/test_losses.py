"""Losses and penalties against numbers worked out by hand, closed forms and finite differences."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.objectives import losses


@pytest.fixture(autouse=True)
def explicit_promotion():
    """Raise where arrays of different dtypes or ranks meet: losses change neither implicitly."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def test_cross_entropies_at_three_logits():
    logits = jnp.array([0.0, math.log(3.0), -math.log(3.0)])
    np.testing.assert_allclose(losses.bce_real(logits), np.log([2, 4 / 3, 4]), rtol=1e-6)
    np.testing.assert_allclose(losses.bce_fake(logits), np.log([2, 4, 4 / 3]), rtol=1e-6)
    assert np.isfinite(losses.bce_real(jnp.array([-1e4, 1e4]))).all()


def test_mix_takes_one_weight_per_image():
    real, fake = jnp.ones((2, 3, 3, 1)), jnp.zeros((2, 3, 3, 1))
    mixed = losses.interpolate(real, fake, jnp.array([0.25, 1.0]))
    np.testing.assert_array_equal(mixed[:, 0, 0, 0], [0.25, 1.0])
    assert all(len(np.unique(image)) == 1 for image in mixed)


def test_norm_of_a_linear_critic_is_that_of_its_weights():
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 3)), jnp.float32)
    critic = lambda x: jnp.einsum("nhwc,hwc->n", x, weights)
    norm = losses.gradient_norm(critic, jnp.zeros((5, 4, 4, 3)))
    assert norm.shape == (5,)
    np.testing.assert_allclose(norm, float(np.linalg.norm(np.asarray(weights))), rtol=1e-6)
    np.testing.assert_allclose(
        losses.two_sided_penalty(norm), (np.linalg.norm(np.asarray(weights)) - 1) ** 2, rtol=1e-5
    )


def test_norms_are_per_image_and_not_over_the_batch():
    # D(x) = sum(x^2)/2 has gradient x: each image's norm is its own, where the 2018 code took one for all.
    images = jnp.stack([jnp.full((2, 2, 1), 1.0), jnp.full((2, 2, 1), 3.0)])
    norm = losses.gradient_norm(lambda x: 0.5 * jnp.sum(x**2, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(norm, [2.0, 6.0], rtol=1e-6)


@pytest.mark.slow
def test_gradient_of_the_penalty_equals_finite_differences():
    with jax.enable_x64(True):
        random = np.random.default_rng(1)
        images = jnp.asarray(random.normal(size=(3, 4, 4, 2)))
        weights = jnp.asarray(random.normal(size=(32, 5)) * 0.3)
        critic = lambda w: lambda x: jnp.sum(jnp.tanh(x.reshape(len(x), -1) @ w), axis=1)
        penalty = lambda w: jnp.mean(losses.two_sided_penalty(losses.gradient_norm(critic(w), images)))
        exact = jax.grad(penalty)(weights)
        for i, j in [(0, 0), (7, 3), (31, 4)]:
            step = jnp.zeros_like(weights).at[i, j].set(1e-5)
            difference = (penalty(weights + step) - penalty(weights - step)) / 2e-5
            np.testing.assert_allclose(exact[i, j], difference, rtol=1e-6)


def test_penalty_and_its_gradient_are_finite_where_the_gradient_is_zero():
    images = jnp.ones((2, 3, 3, 1))
    penalty = lambda w: jnp.sum(
        losses.two_sided_penalty(losses.gradient_norm(lambda x: w * jnp.sum(x**2, (1, 2, 3)), images))
    )
    np.testing.assert_allclose(penalty(0.0), 2.0)
    assert np.isfinite(jax.grad(penalty)(0.0))


def test_penalties_at_zero_are_halves_of_squares():
    images = jnp.stack([jnp.full((2, 2, 1), 1.0), jnp.full((2, 2, 1), 3.0)])
    square = losses.squared_gradient_norm(lambda x: 0.5 * jnp.sum(x**2, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(square, [4.0, 36.0], rtol=1e-6)
    np.testing.assert_allclose(losses.zero_centered_penalty(square, gamma=0.1), [0.2, 1.8], rtol=1e-6)


def test_hinge_stops_at_one_and_least_squares_at_the_target():
    np.testing.assert_array_equal(losses.hinge(jnp.array([2.0, 0.5, -1.0])), [0.0, 0.5, 2.0])
    np.testing.assert_array_equal(losses.least_squares(jnp.array([1.0, 3.0, -1.0]), 1.0), [0.0, 2.0, 2.0])


def test_relativistic_loss_is_of_the_difference_alone():
    scores = jnp.array([5.0, math.log(3.0)])
    np.testing.assert_allclose(losses.relativistic(scores, jnp.array([5.0, 0.0])), np.log([2, 4 / 3]), rtol=1e-6)
    np.testing.assert_allclose(losses.relativistic(scores, scores + 1e4), [1e4, 1e4], rtol=1e-6)


def test_lazy_penalties_are_of_some_rows_with_more_weight():
    found = losses.lazy_regularization(3, lambda x, y: (x, x * y), jnp.arange(1.0, 7.0), jnp.arange(6.0))
    np.testing.assert_array_equal(found[0], [3, 0, 0, 12, 0, 0])
    np.testing.assert_array_equal(found[1], [0, 0, 0, 36, 0, 0])
    row_keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4))
    taken = losses.lazy_regularization(2, prng.uniform, row_keys)
    np.testing.assert_array_equal(taken[::2], 2 * prng.uniform(row_keys)[::2])
    with pytest.raises(UserError, match=r"config.objective.lazy is 4: it should divide the 6 images"):
        losses.lazy_regularization(4, lambda x: x, jnp.arange(6.0))
    with pytest.raises(UserError, match=r"config.objective.lazy is 0"):
        losses.lazy_regularization(0, lambda x: x, jnp.arange(6.0))


# ── reconstruction ──────────────────────────────────────────────────────────────────────────


def test_distances_are_means_over_an_image():
    images, others = jnp.zeros((2, 2, 1, 2)), jnp.array([[[[1.0, -1.0]], [[3.0, -3.0]]], [[[0.0, 0.0]], [[0.0, 2.0]]]])
    np.testing.assert_array_equal(losses.l1(images, others), [2.0, 0.5])
    np.testing.assert_array_equal(losses.l2(images, others), [5.0, 1.0])


def filters(side):
    """Matrices of Burt & Adelson's reduction [side/2, side] and expansion [side, side/2], their edges repeated."""
    half = side // 2
    shrink, grow = np.zeros((half, side)), np.zeros((side, half))
    for i in range(half):
        for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
            shrink[i, np.clip(2 * i + offset, 0, side - 1)] += weight / 16
        for offset, weight in zip(range(-1, 2), (1, 6, 1), strict=True):
            grow[2 * i, np.clip(i + offset, 0, half - 1)] += weight / 8
        for offset in (0, 1):
            grow[2 * i + 1, np.clip(i + offset, 0, half - 1)] += 1 / 2
    return shrink, grow


def test_pyramid_is_that_of_burt_and_adelson():
    image = np.random.default_rng(2).normal(size=(1, 12, 8, 3)).astype(np.float32)
    fine, coarse = losses.laplacian_pyramid(jnp.asarray(image))
    (down, up), (across, along) = filters(12), filters(8)
    small = np.einsum("ij,njkc,lk->nilc", down, image, across)
    np.testing.assert_allclose(coarse, small, atol=1e-6)
    np.testing.assert_allclose(fine, image - np.einsum("ij,njkc,lk->nilc", up, small, along), atol=1e-6)


@pytest.mark.parametrize(
    "size, expected",
    [
        ((28, 28), [28, 14, 7]),
        ((64, 64), [64, 32, 16, 8, 4]),
        ((96, 48), [96, 48, 24, 12]),
        ((7, 8), [7]),
        ((1, 1), [1]),
    ],
)
def test_pyramid_halves_while_sides_are_even_and_not_small(size, expected):
    shapes = [level.shape for level in jax.eval_shape(losses.laplacian_pyramid, jnp.zeros((2, *size, 1)))]
    assert shapes == [(2, side, side * size[1] // size[0], 1) for side in expected]


def test_laplacian_distance_weighs_every_level_alike():
    random = np.random.default_rng(3)
    images, others = (jnp.asarray(random.normal(size=(2, 28, 28, 3)), jnp.float32) for _ in range(2))
    pyramid, distance = jax.jit(losses.laplacian_pyramid), jax.jit(losses.laplacian_l1)
    levels = [np.asarray(a - b) for a, b in zip(pyramid(images), pyramid(others), strict=True)]
    sums = [2 ** (2 * j) * np.abs(level).sum(axis=(1, 2, 3)) for j, level in enumerate(levels)]
    np.testing.assert_allclose(distance(images, others), sum(sums) / (28 * 28 * 3), rtol=1e-4)
    # A uniform difference is in the last level alone.
    np.testing.assert_allclose(distance(images, images + 0.25), 0.25, atol=1e-5)


def test_likelihood_of_a_pixel_integrates_to_one():
    values = jnp.linspace(-4.0, 4.0, 4001)[:, None, None, None]
    each = losses.gaussian_nll(values, jnp.full_like(values, 0.3), 0.4)
    np.testing.assert_allclose(np.exp(-each).sum() * 8 / 4000, 1.0, rtol=1e-5)
    four = losses.gaussian_nll(jnp.zeros((1, 2, 1, 2)), jnp.ones((1, 2, 1, 2)), 0.5)
    np.testing.assert_allclose(four, 4 * (2.0 + math.log(0.5) + 0.5 * math.log(2 * math.pi)), rtol=1e-6)


def test_divergence_from_the_standard_normal():
    np.testing.assert_allclose(losses.kl_to_normal(jnp.ones((1, 3)), jnp.zeros((1, 3))), 1.5, rtol=1e-6)
    wide = losses.kl_to_normal(jnp.zeros((1, 2)), jnp.full((1, 2), math.log(4.0)))
    np.testing.assert_allclose(wide, 3.0 - math.log(4.0), rtol=1e-6)


# ── classes ─────────────────────────────────────────────────────────────────────────────────


def test_cross_entropy_and_entropy_of_classes():
    logits = jnp.log(jnp.array([[1.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))
    np.testing.assert_allclose(losses.cross_entropy(logits, jnp.array([2, 0])), np.log([2, 3]), rtol=1e-6)
    np.testing.assert_allclose(losses.entropy(logits), [1.5 * math.log(2), math.log(3)], rtol=1e-6)


@pytest.mark.slow
def test_ambiguity_is_least_where_no_class_stands_out():
    ambiguity = jax.jit(losses.style_ambiguity)
    p = np.array([0.5, 0.25, 0.25])
    expected = -sum(math.log(x) / 3 + 2 / 3 * math.log(1 - x) for x in p)
    np.testing.assert_allclose(ambiguity(jnp.log(p)[None].astype(jnp.float32)), expected, rtol=1e-5)
    np.testing.assert_allclose(ambiguity(jnp.zeros((1, 2))), 2 * math.log(2), rtol=1e-6)
    slope = jax.jit(jax.grad(lambda x: losses.style_ambiguity(x).sum()))
    np.testing.assert_allclose(slope(jnp.zeros((1, 5))), 0.0, atol=1e-6)
    assert slope(jnp.array([[2.0, 0.0, 0.0]]))[0, 0] > 0
    # Certain to rounding: 1 - p is zero in float32, its logarithm is not infinite.
    certain = jnp.array([[60.0, 0.0, 0.0]])
    np.testing.assert_allclose(ambiguity(certain), 120 / 3 + 2 / 3 * (60 - math.log(2)), rtol=1e-5)
    assert np.isfinite(slope(certain)).all()
