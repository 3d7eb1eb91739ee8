"""Networks have the layers of the originals: shapes, counts of weights, ranges, types, and what labels do to them."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.networks import NETWORKS, ROLES, image_sizes

# Counted layer by layer from the 2018 scripts; the WGAN critics had 3 outputs there and have 1 here.
WEIGHTS = [
    ("wgan", 28, 5, 7_280_195, 5_342_211 - 2 * 1025),
    ("wgan", 56, 4, 7_086_275, 26_090_819 - 2 * 1025),
    ("wgan", 112, 4, 7_152_131, 103_161_155 - 2 * 1025),
    ("dcgan", 28, 6, 2_869_987, 6_203_073),
    ("dcgan", 56, 6, 3_017_763, 6_209_217),
    ("dcgan", 112, 6, 3_165_539, 6_226_113),
]
VALUES = {"kernel": 4, "width": 4, "dropout": 0.4, "blocks": 1, "expansion": 1, "latent": 10}
# The generator of "projected" is the DCGAN's, and its critic has tests of its own.
FAMILIES = sorted({*NETWORKS} - {"projected"})
EVERY = pytest.mark.parametrize("name", FAMILIES)
# Every size with three channels, and the other numbers of channels with one size each.
SIZES = [
    ((28, 28), 3), ((28, 28), 1), ((96, 48), 4),
    *(pytest.param((height, width), 3, marks=pytest.mark.slow)
      for height, width in ((56, 56), (112, 112), (32, 32), (64, 64), (96, 48), (48, 96))),
]  # fmt: skip
TOLD = [(name, way) for name in FAMILIES for way in ("projection", "concatenation")] + [("resnet", "layers")]


def options(name, role, **values):
    """The class of a role and its arguments: 28 pixels square and narrow unless told otherwise."""
    made = NETWORKS[name][role]
    values = {**VALUES, "channels": 3, "axis_name": None, "dtype": jnp.float32, "size": (28, 28), **values}
    return made, {key: value for key, value in values.items() if key in inspect.signature(made.__init__).parameters}


def make(name, role, seed=0, **values):
    """A network of a role."""
    made, values = options(name, role, **values)
    graph, state = built(made, seed, tuple(values.items()))
    return nnx.merge(graph, jax.tree.map(lambda leaf: leaf, state))  # in variables of its own


def traced(name, role, **values):
    """The same where it is traced only."""
    made, values = options(name, role, **values)
    return made(**values, rngs=nnx.Rngs(0))


def shapes(name, role, **values):
    """A network that has shapes and no numbers."""
    return nnx.eval_shape(lambda: traced(name, role, **values))


@functools.cache
def built(made, seed, values):
    """What a network is merged from. It is made by one program, not by one per weight, and once in all tests."""
    graphs = []

    def program():
        graph, state = nnx.split(made(**dict(values), rngs=nnx.Rngs(seed)))
        graphs.append(graph)
        return state

    with jax.ensure_compile_time_eval():  # in numbers, also for whoever traces: others get the same network
        state = jax.jit(program)()
    return graphs[0], state


def call(network, *arguments, **values):
    """A network's answer, compiled whole."""
    return compiled(network, **values)(*arguments)


def compiled(network, **values):
    """A network with some values, compiled whole, for several calls."""
    return jax.jit(lambda *arguments: network(*arguments, **values))


def perturbed(network, seed=5):
    """The same network with noise on every weight, so that nothing rests at zero."""
    params = nnx.state(network, nnx.Param)
    flat, tree = jax.tree.flatten(params)
    random = np.random.default_rng(seed)
    nnx.update(network, jax.tree.unflatten(tree, [p + 0.1 * random.normal(size=p.shape).astype("f") for p in flat]))
    return network


def rows(count, seed=0):
    return prng.per_example_keys(jax.random.key(seed), jnp.arange(count))


def images(count, size=(28, 28), channels=3, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (count, *size, channels)), jnp.float32)


def count(network):
    # The statistics of batch norm, two per feature, are weights in Keras's tables.
    params, stats = nnx.state(network, nnx.Param), nnx.state(network, nnx.BatchStat)
    return sum(leaf.size for leaf in jax.tree.leaves((params, stats)))


@pytest.mark.parametrize(("name", "size", "kernel", "generator", "critic"), WEIGHTS)
def test_weights_are_those_of_the_originals(name, size, kernel, generator, critic):
    values = {"size": (size, size), "kernel": kernel, "width": 64, "latent": 100}
    assert count(shapes(name, "generator", **values)) == generator
    assert count(shapes(name, "critic", **values)) == critic


def test_every_name_has_every_role():
    assert all(tuple(roles) == ROLES for roles in NETWORKS.values())


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize(("size", "channels"), SIZES)
def test_every_size_and_channel_count_comes_out_as_asked(name, size, channels):
    def all_of_them():
        made = {"size": size, "channels": channels}
        z = jnp.zeros((2, 10))
        x = traced(name, "generator", **made)(z, keys=rows(2), train=False)
        scores = traced(name, "critic", **made)(x, keys=rows(2), train=True)
        return x, scores, *traced(name, "encoder", **made)(x, train=True)

    x, scores, mean, log_variance = made = jax.eval_shape(all_of_them)
    assert x.shape == (2, *size, channels) and scores.shape == (2,)
    assert mean.shape == log_variance.shape == (2, 10)
    assert {leaf.dtype for leaf in made} == {jnp.dtype("float32")}


@EVERY
def test_a_critic_has_as_many_outputs_as_asked_for(name):
    several = jax.eval_shape(lambda: traced(name, "critic", outputs=3)(images(2), keys=rows(2), train=True))
    assert several.shape == (2, 3) and several.dtype == jnp.float32


@pytest.mark.slow
@EVERY
def test_bfloat16_networks_take_and_give_float32(name):
    generator = make(name, "generator", dtype=jnp.bfloat16)
    x = call(generator, jnp.ones((2, 10)), train=False)
    assert x.dtype == jnp.float32 and jnp.isfinite(x).all()
    assert name == "r3gan" or (jnp.abs(x) <= 1).all()
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(generator))} == {jnp.dtype("float32")}
    exact, rough = (perturbed(make(name, "critic", dtype=dtype)) for dtype in (jnp.float32, jnp.bfloat16))
    scores = call(rough, images(4), train=False)
    assert scores.dtype == jnp.float32
    expected = call(exact, images(4), train=False)
    np.testing.assert_allclose(scores, expected, rtol=0.1, atol=0.2)
    assert (scores != expected).any(), "its arithmetic is bfloat16"
    mean, log_variance = call(make(name, "encoder", dtype=jnp.bfloat16), x, train=False)
    assert mean.dtype == log_variance.dtype == jnp.float32


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("train", [False, True])
def test_a_critic_scores_each_image_on_its_own(name, train):
    critic, x = perturbed(make(name, "critic")), images(3)
    scores = compiled(critic, keys=rows(3), train=train)
    before, after = scores(x), scores(x.at[1].set(-x[1]))
    np.testing.assert_allclose(after[jnp.array([0, 2])], before[jnp.array([0, 2])], rtol=1e-5, atol=1e-5)
    assert abs(float(after[1] - before[1])) > 1e-3


@pytest.mark.slow
@EVERY
def test_a_generator_that_is_not_training_draws_each_picture_on_its_own(name):
    generator, z = perturbed(make(name, "generator")), jnp.asarray(np.random.default_rng(0).normal(size=(3, 10)), "f")
    draw = compiled(generator, keys=rows(3), train=name == "r3gan")  # which has no statistics of a batch in training
    before, after = draw(z), draw(z.at[1].set(-z[1]))
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    assert jnp.abs(after[1] - before[1]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan", "wgan", "resnet"])
def test_batch_statistics_are_of_the_whole_batch_on_any_number_of_devices(name):
    graph, state = nnx.split(perturbed(make(name, "generator", axis_name="data")))
    z = np.random.default_rng(0).normal(size=(8, 10)).astype("f")

    def replica(z, keys):
        network = nnx.merge(graph, state, copy=True)
        return network(z, keys=keys, train=True), nnx.to_pure_dict(nnx.state(network, nnx.BatchStat))

    def on(devices):
        shares = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), (z, rows(8)))
        drawn, statistics = jax.jit(jax.vmap(replica, axis_name="data"))(*shares)
        return drawn.reshape(8, *drawn.shape[2:]), statistics

    (whole, expected), (shared, found) = on(1), on(4)
    np.testing.assert_allclose(shared, whole, atol=1e-4)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(other, np.repeat(one, 4, axis=0), rtol=1e-4, atol=1e-5)
    before = jax.tree.leaves(nnx.to_pure_dict(nnx.state(nnx.merge(graph, state), nnx.BatchStat)))
    assert before and all((a[0] != b).any() for a, b in zip(jax.tree.leaves(expected), before, strict=True))


# ── labels ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), TOLD)
def test_labels_change_what_told_networks_do(name, way):
    zero, one = jnp.array([0, 0]), jnp.array([0, 1])
    generator = perturbed(make(name, "generator", classes=3, conditioning=way))
    critic = perturbed(make(name, "critic", classes=3, conditioning=way))
    z, x = jnp.ones((2, 10)), images(1).repeat(2, 0)
    for made, seen in ((generator, z), (critic, x)):
        answers = compiled(made, train=False)
        same, other = answers(seen, zero), answers(seen, one)
        np.testing.assert_allclose(same[0], same[1], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(other[0], same[0], rtol=1e-5, atol=1e-5)
        assert jnp.abs(other[1] - same[1]).max() > 1e-3
    with pytest.raises(AssertionError, match="was called without"):
        critic(x, train=False)


@pytest.mark.slow
@EVERY
def test_the_latent_says_more_than_a_label_beside_it(name):
    # Where labels say more at the start, a GAN learns one picture for each label and nothing brings it back.
    generator = make(name, "generator", latent=64, classes=10, conditioning="projection")
    z = jnp.asarray(np.random.default_rng(0).normal(size=(8, 64)), jnp.float32)
    draw = compiled(generator, keys=rows(8), train=False)
    of_z = draw(z, jnp.zeros(8, jnp.int32))
    of_label = draw(jnp.tile(z[:1], (8, 1)), jnp.arange(8))
    assert of_z.std(axis=0).mean() > 3 * of_label.std(axis=0).mean() > 0


@pytest.mark.slow
@EVERY
def test_without_classes_labels_are_ignored(name):
    generator, critic = make(name, "generator"), make(name, "critic")
    z, x, label = jnp.ones((2, 10)), images(2), jnp.array([0, 5])
    assert (call(generator, z, label, train=False) == call(generator, z, train=False)).all()
    assert (call(critic, x, label, train=False) == call(critic, x, train=False)).all()


def test_projection_adds_the_product_of_features_and_a_vector_of_the_label():
    from logogan_jax.networks.conditioning import CriticHead

    head = CriticHead(5, outputs=1, classes=3, dtype=jnp.float32, rngs=nnx.Rngs(0))
    x, label = np.random.default_rng(0).normal(size=(4, 5)).astype("f"), np.array([2, 0, 1, 2])
    kernel, table = np.asarray(head.kernel[...]), np.asarray(head.table[...])
    assert kernel.shape == (5, 1) and table.shape == (3, 5)
    expected = [x[i] @ kernel[:, 0] + x[i] @ table[label[i]] for i in range(4)]
    np.testing.assert_allclose(head(x, label), expected, rtol=1e-5)


@EVERY
def test_concatenation_gives_the_first_layer_one_more_input_per_class(name):
    six = lambda **told: [
        leaf for leaf in jax.tree.leaves(nnx.state(shapes(name, "critic", **told), nnx.Param))
        if leaf.shape[-2:-1] == (3 + 3,)
    ]  # fmt: skip
    assert not six() and not six(classes=3, conditioning="projection")
    assert six(classes=3, conditioning="concatenation")


@EVERY
def test_an_unknown_way_of_conditioning_is_refused(name):
    with pytest.raises(UserError, match=r"config.model.conditioning is 'crossing': it should be one of concatenation"):
        make(name, "critic", conditioning="crossing")


@EVERY
@pytest.mark.parametrize("way", ["projection", "concatenation"])
def test_several_outputs_and_labels_exclude_each_other(name, way):
    with pytest.raises(AssertionError, match="several outputs"):
        make(name, "critic", outputs=2, classes=2, conditioning=way)


def test_dropout_keeps_the_mean_and_belongs_to_rows():
    from logogan_jax.networks.dcgan import apply_dropout

    row_keys = rows(8)
    dropped = apply_dropout(row_keys, jnp.ones((8, 40, 40, 4)), 0.4)
    assert abs(float(dropped.mean()) - 1.0) < 0.02
    assert abs(float((dropped == 0).mean()) - 0.4) < 0.01
    assert (apply_dropout(row_keys[3:5], jnp.ones((2, 40, 40, 4)), 0.4) == dropped[3:5]).all()


# ── sizes ───────────────────────────────────────────────────────────────────────────────────

BASES = [
    ((28, 28), (7, 7), 2), ((56, 56), (7, 7), 3), ((112, 112), (7, 7), 4), ((64, 64), (4, 4), 4),
    ((96, 48), (6, 3), 4), ((48, 96), (3, 6), 4), ((60, 60), (15, 15), 2), ((16, 16), (4, 4), 2),
]  # fmt: skip


@pytest.mark.parametrize(("size", "base", "doublings"), BASES)
def test_sizes_are_a_small_number_doubled(size, base, doublings):
    assert image_sizes.base_and_doublings(size) == (base, doublings)


@pytest.mark.parametrize("side", [100, 30, 50, 7, 14, 12, 0])
def test_other_square_sizes_are_refused(side):
    with pytest.raises(UserError, match=rf"config.data.size is {side}: .* from 4 to 15 .* such as 28, 56, 112"):
        image_sizes.base_and_doublings((side, side))


@pytest.mark.parametrize("size", [(28, 14), (56, 50), (96, 0), (64, 20)])
def test_other_rectangles_are_refused(size):
    message = f"config.data.size is {size[0]} and config.data.width {size[1]}: .* such as 96 and 48"
    with pytest.raises(UserError, match=message):
        image_sizes.base_and_doublings(size)
