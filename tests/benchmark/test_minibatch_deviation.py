"""Minibatch deviation sees how much the images of a group differ, and no other group."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from flax import nnx

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import minibatch_deviation
import variants

from logogan_jax.config import build_networks
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.objectives.gan import gan


def test_a_group_has_the_mean_of_its_standard_deviations():
    x = np.random.default_rng(0).normal(size=(8, 3, 3, 2)).astype(np.float32)
    x[:4] = x[0]  # all the same
    found = minibatch_deviation.mean_deviation(jnp.asarray(x))
    assert found.shape == (8, 1) and found[:4].max() < 2e-4
    np.testing.assert_allclose(found[4:], x[4:].std(0).mean(), rtol=1e-4)


@pytest.mark.parametrize(("images", "group"), [(6, 3), (2, 2), (5, 1), (12, 4)])
def test_groups_are_smaller_where_four_do_not_divide_the_images(images, group):
    x = np.random.default_rng(1).normal(size=(images, 2, 2, 1)).astype(np.float32)
    expected = x.reshape(-1, group, 4).std(1).mean(1).repeat(group)
    np.testing.assert_allclose(minibatch_deviation.mean_deviation(jnp.asarray(x))[:, 0], expected, rtol=1e-3, atol=2e-4)


def test_the_critic_of_the_variant_scores_an_image_beside_its_group_alone(monkeypatch):
    monkeypatch.setitem(build_networks.NETWORKS, minibatch_deviation.NAME, minibatch_deviation.FAMILY)
    config = variants.get_config("deviation")
    config.train.dtype = "float32"
    objective = gan(latent=64, critic_updates=1, r1=0.2, lazy=4)
    info = DatasetInfo("", 8, {}, ("#000000",))
    critic = build_networks.build_networks(config, objective, info, 0)["critic"]
    critic = getattr(critic, "critic", critic)
    assert isinstance(critic, minibatch_deviation.Critic)
    critic.out.kernel = nnx.Param(critic.out.kernel[...].at[-1].set(5.0))
    images = np.random.default_rng(2).uniform(-1, 1, size=(8, 28, 28, 1)).astype(np.float32)
    before = critic(jnp.asarray(images), train=False)
    images[5] = 1.0
    moved = np.abs(np.asarray(critic(jnp.asarray(images), train=False) - before)) > 1e-4
    assert moved.tolist() == [False] * 4 + [True] * 4
