"""The critic that looks through a published network: what it sees, what is trained, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import run, sgd
from flax import nnx
from test_networks import images

from logogan_jax.config import build_training, defaults
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import features
from logogan_jax.networks import efficientnet, projected

SMALL = {"mixed_width": 4, "feature_side": 32}


@pytest.fixture(scope="module")
def weights():
    return features.load_network("efflite0").weights


@pytest.fixture
def critic(weights):
    """A function (**values) -> a small critic."""

    def make(**values):
        given = {"size": (28, 28), "channels": 3, "outputs": 4, "axis_name": None, "dtype": jnp.float32, **SMALL}
        return projected.Critic(**{**given, **values}, feature_weights=weights, rngs=nnx.Rngs(0))

    return make


@pytest.fixture
def config(tiny):
    """A function (**overrides) -> the tiny config of Projected GAN."""

    def make(**overrides):
        made = tiny("projected", **{"evaluate__every_images": 0, **overrides})
        made.model = defaults.block(name="projected", latent=8, width=4, kernel=4, dropout=0.0, **SMALL)
        return made

    return make


@pytest.mark.parametrize(
    ("size", "side", "channels", "places"),
    [((28, 28), 224, 3, 16), ((28, 28), 32, 1, 1), ((96, 48), 224, 3, 8), ((56, 56), 64, 1, 4)],
)
def test_four_heads_score_as_many_places_each(critic, size, side, channels, places):
    made = {"size": size, "channels": channels, "feature_side": side}
    scores = jax.eval_shape(lambda: critic(**made)(images(2, size, channels), train=True))
    assert scores.shape == (2, 4, places) and scores.dtype == jnp.float32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"outputs": 1}, r"config.model.name is 'projected', whose critic has four heads: use --config.objective.name"),
        ({"channels": 4}, r"config.data.channels is 4, and the critic .* sees no transparency"),
        ({"feature_side": 31}, r"config.model.feature_side is 31: it should be at least 32"),
        ({"mixed_width": 0}, r"config.model.mixed_width is 0: it should be at least 1"),
        ({"conditioning": "concatenation"}, r"config.model.conditioning is 'concatenation': .* one of projection"),
    ],
)
def test_what_does_not_suit_is_refused(critic, values, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: critic(**values)(images(1), train=True))


def test_only_the_heads_are_trained(critic, weights):
    network = nnx.eval_shape(critic)
    trained = nnx.to_pure_dict(nnx.state(network, nnx.Param))
    assert [*trained] == ["heads"]
    frozen = jax.tree.leaves(nnx.state(network, projected.FrozenWeight))
    read = jax.tree.leaves((weights["stem"], weights["blocks"]))
    assert len(frozen) == len(read) + 2 * (4 + 3)


def test_every_stage_is_mixed_into_those_that_are_finer_and_into_no_other(critic):
    def mixtures(scales):
        network = critic()
        for layer, scale in zip(network.across_channels, scales, strict=True):
            layer.weight[...] = scale * layer.weight[...]
        return network.project(images(2))

    program = jax.jit(mixtures)
    before = program(np.ones(4, np.float32))
    for stage in range(4):
        after = program(1 + np.eye(4, dtype=np.float32)[stage])
        changed = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
        assert changed == [level <= stage for level in range(4)]


def test_the_published_network_sees_the_image_in_its_own_range(critic, weights):
    network = critic(channels=1)

    @jax.jit
    def coarsest(grey):
        colours = jax.image.resize(grey, (2, 32, 32, 1), "bilinear").repeat(3, axis=3)
        last = efficientnet.stages(weights, 127.5 * (colours + 1))[6]
        return network.project(grey)[3], last @ network.across_channels[3].weight[...][0, 0]

    seen, expected = coarsest(images(2, channels=1))
    np.testing.assert_allclose(seen, expected, rtol=1e-3, atol=1e-3)
    assert np.abs(seen).max() > 0.1


@pytest.mark.slow
def test_labels_change_scores(critic):
    network = critic(classes=3)
    x = images(1).repeat(2, 0)
    score = jax.jit(lambda label: network(x, label, train=False))
    same = score(jnp.array([0, 0]))
    other = score(jnp.array([0, 1]))
    np.testing.assert_allclose(same[0], same[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(other[0], same[0], rtol=1e-5, atol=1e-5)
    assert jnp.abs(other[1] - same[1]).max() > 1e-3
    with pytest.raises(AssertionError, match="was called without"):
        network(x, train=False)


def test_who_looks_through_a_network_is_not_judged_by_it(config):
    with pytest.raises(UserError, match=r"config.evaluate.features is 'efflite0', .* use --config.evaluate.features="):
        build_training.build(config(evaluate__every_images=8))


@pytest.mark.slow
def test_two_devices_train_as_one_does_and_leave_the_published_network_alone(config):
    made = config(mark__inks=1, data__labels=True)

    def trained(count):
        training = build_training.build(sgd(made, 0.01), devices=jax.devices()[:count])
        before = jax.device_get(training.state)
        return before, jax.device_get(run(training, 2)[0])

    (before, one), (_, two) = trained(1), trained(2)
    moved = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(one.model_state["critic"]):
        name = jax.tree_util.keystr(path)
        old = dict(jax.tree_util.tree_leaves_with_path(before.model_state["critic"]))[path]
        moved[name] = bool((leaf != old).any())
    frozen = [name for name in moved if "network" in name or "across" in name]
    assert frozen and not any(moved[name] for name in frozen) and any(moved.values())
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(two.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (one.params, before.params)), strict=True))
    # What two devices change is small beside what two steps change.
    furthest = lambda a, b: max(np.abs(x - y).max() for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))
    for role in ("generator", "critic"):
        moves = furthest(one.params[role], before.params[role])
        assert furthest(one.params[role], two.params[role]) < 1e-3 * moves
