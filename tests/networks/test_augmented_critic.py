"""A critic behind a view looks through it while it trains, and ADA's rule moves how much it hides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from logogan_jax.core import prng
from logogan_jax.networks import augmented_critic, diffaugment
from logogan_jax.networks.augmented_critic import AugmentedCritic, AugmentProbability

COUNT = 16
ROWS = prng.per_example_keys(jax.random.key(3), jnp.arange(COUNT))
IMAGES = np.random.default_rng(0).uniform(-1, 1, (COUNT, 12, 8, 3)).astype(np.float32)
draws = prng.uniform


class Sums(nnx.Module):
    """A critic that is no network: weighted sums, and what it was told."""

    def __init__(self):
        self.weight = nnx.Param(jnp.float32(2.0))

    def __call__(self, x, label=None, *, keys=None, train):
        told = 0 if label is None else label
        drawn = 0 if keys is None else draws(keys)
        return self.weight[...] * x.sum((1, 2, 3)) + told + drawn


def test_a_viewed_critic_looks_through_its_view_while_it_trains():
    x, label = jnp.asarray(IMAGES), jnp.arange(COUNT)
    seen = []

    def view(rows, images, strength):
        seen.append((rows, strength))
        return images * strength

    critic = AugmentedCritic(Sums(), view, 0.25)
    np.testing.assert_allclose(critic(x, label, train=False), 2 * x.sum((1, 2, 3)) + label, rtol=1e-5)
    assert not seen
    scores = critic(x, label, keys=ROWS, train=True)
    (rows, strength), inner = seen[0], scores - (0.5 * x.sum((1, 2, 3)) + label)
    assert strength == 0.25
    assert inner.min() >= -1e-3 and inner.max() <= 1 and np.ptp(inner) > 0.5  # draws of the critic's own keys
    assert np.abs(draws(rows) - inner).max() > 0.1  # which are not the view's


@pytest.mark.slow
def test_strength_is_kept_among_the_statistics_and_is_not_trained():
    graph, params, rest = nnx.split(
        AugmentedCritic(Sums(), diffaugment.parse_policy("logo", outside=1.0), 0.5), nnx.Param, ...
    )
    assert nnx.to_pure_dict(params) == {"critic": {"weight": 2.0}}
    assert (
        nnx.to_pure_dict(rest) == {"augment_probability": 0.5}
        and rest["augment_probability"].get_value().dtype == jnp.float32
    )
    assert isinstance(rest["augment_probability"], AugmentProbability)
    stronger = nnx.merge(graph, params, nnx.State({"augment_probability": jnp.float32(1.0)}), copy=True)
    x = jnp.ones((COUNT, 12, 8, 3))
    scores = stronger(x, keys=ROWS, train=True)
    assert (scores < 2 * x[0].size).all()  # every one has its hole


# ── ADA's rule ──────────────────────────────────────────────────────────────────────────────


def test_strength_follows_the_critic_and_stays_in_its_range():
    adapt = jax.jit(augmented_critic.adaptive_probability(target=0.6, images=1000, images_per_update=100.0))
    statistics, seen = {"augment_probability": jnp.float32(0.05), "critic": {"mean": jnp.ones(2)}}, []
    for sign in (0.7, 0.9, 0.6, 0.5, 0.1, -1.0, 0.61) + (1.0,) * 12:
        statistics = adapt(statistics, {"sign": jnp.float32(sign), "loss": jnp.float32(3)})
        seen.append(float(statistics["augment_probability"]))
    expected = [0.15, 0.25, 0.25, 0.15, 0.05, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    np.testing.assert_array_equal(statistics["critic"]["mean"], 1)


def test_the_probability_stays_below_the_highest_one():
    adapt = augmented_critic.adaptive_probability(images=10, images_per_update=2, highest=0.3)
    seen = [{"augment_probability": jnp.float32(0)}]
    for sign in (1.0, 1.0, 1.0, 0.0):
        seen.append(adapt(seen[-1], {"sign": jnp.float32(sign)}))
    np.testing.assert_allclose(
        [float(each["augment_probability"]) for each in seen], [0, 0.2, 0.3, 0.3, 0.1], atol=1e-6
    )


def test_the_paper_s_target_is_the_default():
    higher, lower = (
        augmented_critic.adaptive_probability(images=10, images_per_update=1)({"augment_probability": 0.5}, {"sign": s})
        for s in (0.62, 0.58)
    )
    np.testing.assert_allclose([higher["augment_probability"], lower["augment_probability"]], [0.6, 0.4], atol=1e-6)
