"""Losses and penalties against numbers worked out by hand, closed forms and finite differences."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax import keys, losses
from logogan_jax.objectives import OBJECTIVES


def test_cross_entropies_at_three_logits():
    logits = jnp.array([0.0, math.log(3.0), -math.log(3.0)])
    np.testing.assert_allclose(losses.says_real(logits), np.log([2, 4 / 3, 4]), rtol=1e-6)
    np.testing.assert_allclose(losses.says_fake(logits), np.log([2, 4, 4 / 3]), rtol=1e-6)
    assert np.isfinite(losses.says_real(jnp.array([-1e4, 1e4]))).all()


def test_mix_takes_one_weight_per_image():
    real, fake = jnp.ones((2, 3, 3, 1)), jnp.zeros((2, 3, 3, 1))
    mixed = losses.mix(real, fake, jnp.array([0.25, 1.0]))
    np.testing.assert_array_equal(mixed[:, 0, 0, 0], [0.25, 1.0])
    assert all(len(np.unique(image)) == 1 for image in mixed)


def test_norm_of_a_linear_critic_is_that_of_its_weights():
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 3)), jnp.float32)
    critic = lambda x: jnp.einsum("nhwc,hwc->n", x, weights)
    norm = losses.gradient_norm(critic, jnp.zeros((5, 4, 4, 3)))
    assert norm.shape == (5,)
    np.testing.assert_allclose(norm, float(np.linalg.norm(np.asarray(weights))), rtol=1e-6)
    np.testing.assert_allclose(losses.one_centred(norm), (np.linalg.norm(np.asarray(weights)) - 1) ** 2, rtol=1e-5)


def test_norms_are_per_image_and_not_over_the_batch():
    # D(x) = sum(x^2)/2 has gradient x: each image's norm is its own, where the 2018 code took one for all.
    images = jnp.stack([jnp.full((2, 2, 1), 1.0), jnp.full((2, 2, 1), 3.0)])
    norm = losses.gradient_norm(lambda x: 0.5 * jnp.sum(x**2, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(norm, [2.0, 6.0], rtol=1e-6)


def test_gradient_of_the_penalty_equals_finite_differences():
    with jax.enable_x64(True):
        random = np.random.default_rng(1)
        images = jnp.asarray(random.normal(size=(3, 4, 4, 2)))
        weights = jnp.asarray(random.normal(size=(32, 5)) * 0.3)
        critic = lambda w: lambda x: jnp.sum(jnp.tanh(x.reshape(len(x), -1) @ w), axis=1)
        penalty = lambda w: jnp.mean(losses.one_centred(losses.gradient_norm(critic(w), images)))
        exact = jax.grad(penalty)(weights)
        for i, j in [(0, 0), (7, 3), (31, 4)]:
            step = jnp.zeros_like(weights).at[i, j].set(1e-5)
            difference = (penalty(weights + step) - penalty(weights - step)) / 2e-5
            np.testing.assert_allclose(exact[i, j], difference, rtol=1e-6)


def test_penalty_and_its_gradient_are_finite_where_the_gradient_is_zero():
    images = jnp.ones((2, 3, 3, 1))
    penalty = lambda w: jnp.sum(
        losses.one_centred(losses.gradient_norm(lambda x: w * jnp.sum(x**2, (1, 2, 3)), images))
    )
    np.testing.assert_allclose(penalty(0.0), 2.0)
    assert np.isfinite(jax.grad(penalty)(0.0))


class Nets:
    """A generator of half-grey images and a linear critic, for losses that can be worked out by hand."""

    def __init__(self, slope):
        self.critic = lambda x, *, keys, train: slope * jnp.mean(x, axis=(1, 2, 3))
        self.generator = lambda z, *, keys, train: jnp.full((len(z), 2, 2, 1), 0.5) + 0 * z[:, :1, None, None]


class Batch:
    image = jnp.ones((3, 2, 2, 1))


def rows():
    return keys.rows(jax.random.key(0), jnp.arange(3))


def test_dcgan_losses_by_hand():
    critic, generator = OBJECTIVES["dcgan"](latent=2).players
    each, notes = critic.loss(Nets(slope=2.0), Batch, rows())
    expected = 0.5 * (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(1.0)))
    np.testing.assert_allclose(each, [expected] * 3, rtol=1e-6)
    np.testing.assert_allclose(notes["real"], 2.0)
    np.testing.assert_allclose(generator.loss(Nets(2.0), Batch, rows())[0], math.log1p(math.exp(-1.0)), rtol=1e-6)


def test_dcgan_losses_at_logit_zero_are_log_two():
    for player in OBJECTIVES["dcgan"](latent=2).players:
        np.testing.assert_allclose(player.loss(Nets(0.0), Batch, rows())[0], math.log(2.0), rtol=1e-6)


def test_wgan_gp_losses_by_hand():
    critic, generator = OBJECTIVES["wgan_gp"](latent=2, penalty=10.0).players
    # D(x) = 6 mean(x) over 4 pixels: gradient 1.5 per pixel, norm 3; D(real) - D(fake) = 6 - 3.
    each, notes = critic.loss(Nets(slope=6.0), Batch, rows())
    np.testing.assert_allclose(notes["gradient_norm"], 3.0, rtol=1e-6)
    np.testing.assert_allclose(notes["wasserstein"], 3.0, rtol=1e-6)
    np.testing.assert_allclose(each, 10.0 * (3.0 - 1.0) ** 2 - 3.0, rtol=1e-6)
    np.testing.assert_allclose(generator.loss(Nets(6.0), Batch, rows())[0], -3.0, rtol=1e-6)
    assert critic.updates == 5


def test_mixing_weights_are_one_per_image_in_the_unit_interval_and_unlike_the_latents():
    latents = []

    class Square(Nets):
        def __init__(self):
            # Reals are 1 and fakes 0, so that the images between are the weights themselves, and the
            # gradient of D(x) = sum(x^2) / 2 is x: over 4 pixels its norm is twice the weight.
            self.critic = lambda x, *, keys, train: 0.5 * jnp.sum(x**2, axis=(1, 2, 3))
            self.generator = lambda z, *, keys, train: jnp.zeros((len(latents.append(z) or z), 2, 2, 1))

    loss = OBJECTIVES["wgan_gp"](latent=2).players[0].loss
    weights = np.concatenate(
        [
            loss(Square(), Batch, keys.rows(jax.random.key(seed), jnp.arange(3)))[1]["gradient_norm"] / 2
            for seed in range(40)
        ]
    )
    assert weights.min() >= 0 and weights.max() < 1
    assert weights.min() < 0.1 and weights.max() > 0.9 and abs(weights.mean() - 0.5) < 0.1
    assert len(np.unique(weights)) == 120
    assert not np.isin(weights, np.concatenate(latents)).any()
