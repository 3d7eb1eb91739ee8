"""The encoder gives a distribution for every image, the codes one vector for every training image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_networks import call, images, make, perturbed, shapes

from logogan_jax.networks import encoders


def test_weights_of_the_encoder_by_hand():
    # 28 -> 14 -> 7 -> 4 -> 2 pixels, 4 -> 8 -> 16 -> 32 features, 4 x 4 filters with biases, then twice 10.
    convolutions = 16 * (3 * 4 + 4 * 8 + 8 * 16 + 16 * 32) + 4 + 8 + 16 + 32
    state = nnx.state(shapes("dcgan", "encoder"))
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == convolutions + 2 * 2 * 32 * 20 + 20


@pytest.mark.slow
def test_an_encoder_reads_each_image_on_its_own_and_both_halves_differ():
    encoder, x = perturbed(make("dcgan", "encoder")), images(3)
    mean, log_variance = call(encoder, x, train=True)
    assert mean.shape == log_variance.shape == (3, 10) and (mean != log_variance).all()
    other, _ = call(encoder, x.at[1].set(-x[1]), train=True)
    np.testing.assert_allclose(other[jnp.array([0, 2])], mean[jnp.array([0, 2])], atol=1e-5)
    assert jnp.abs(other[1] - mean[1]).max() > 1e-3


@pytest.mark.slow
def test_a_conditional_encoder_hears_the_label():
    encoder = perturbed(make("dcgan", "encoder", classes=2))
    mean, _ = call(encoder, images(1).repeat(2, 0), jnp.array([0, 1]), train=True)
    assert jnp.abs(mean[0] - mean[1]).max() > 1e-3


def test_codes_start_in_the_unit_ball_as_projections_of_normal_draws():
    table = np.asarray(encoders.LatentCodes(images=500, latent=2, rngs=nnx.Rngs(0)).table[...])
    norm = np.linalg.norm(table, axis=1)
    assert table.shape == (500, 2) and table.dtype == np.float32 and norm.max() <= 1 + 1e-6
    # In the plane a normal draw lies within the unit circle with probability 1 - exp(-1/2).
    inside = norm < 1 - 1e-5
    assert abs(inside.mean() - 0.393) < 4 * (0.393 * 0.607 / 500) ** 0.5
    assert abs(table.mean()) < 0.1


def test_codes_are_looked_up_and_learn_where_they_were():
    codes = encoders.LatentCodes(images=6, latent=3, rngs=nnx.Rngs(0))
    index = jnp.array([4, 1, 4])
    table = np.asarray(codes.table[...])
    assert (np.asarray(codes(index)) == table[[4, 1, 4]]).all()
    graph, params = nnx.split(codes)
    weights = jnp.array([[1.0], [2.0], [3.0]])
    gradient = jax.grad(lambda params: jnp.sum(weights * nnx.merge(graph, params)(index)))(params)
    expected = np.zeros((6, 3))
    expected[4], expected[1] = 1 + 3, 2
    np.testing.assert_array_equal(gradient["table"][...], expected)
