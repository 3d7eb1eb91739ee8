"""One step: who moves and how often, what is fresh, and that devices and mappings do not matter."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy_networks
from conftest import run, sgd
from toy_networks import PLAIN, SHARED, TOY

from logogan_jax.config import build_training, defaults
from logogan_jax.core import target
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import NETWORKS
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.objectives.base import Player
from logogan_jax.training import checkpoints, sampling, step_runner, train_state, train_step
from logogan_jax.training.optimizers import OPTIMIZERS

DEVICES = jax.devices()


def quick(*names):
    """All objectives, of which the inner loop takes these."""
    marks = lambda name: () if name in names else pytest.mark.slow
    return pytest.mark.parametrize("objective", [pytest.param(name, marks=marks(name)) for name in sorted(OBJECTIVES)])


ONE = quick("wgan_gp")

# What an objective does it does on any network, and a network under any objective: objectives are tried on networks of
# two layers. These have the players and networks of "gan"; the tests of objectives work out their losses by hand.
LIKE_GAN = {"cgan", "hinge", "lsgan", "minimax"}
ON_TOYS = [
    *((name, "plain") for name in sorted({*OBJECTIVES} - LIKE_GAN)),
    ("gan", "inks of the data"),
    ("hinge", "spectral"),
]
# What goes between devices: batch statistics and keys of dropout; vectors of spectral norm; shares of codes. A gradient
# of a gradient has a test below, and the norm of the walkthrough's penalty one among the objectives. All other losses
# are of each image alone.
ON_DEVICES = [("gan", "toy"), ("hinge", "spectral"), ("glo", "plain")]


@pytest.fixture
def on_network(tiny, monkeypatch):
    """A function (objective, network, **overrides) -> the tiny config with that network; devices share its kernels."""
    monkeypatch.setitem(NETWORKS, "toy", TOY)
    monkeypatch.setitem(NETWORKS, "plain", PLAIN)
    monkeypatch.setattr(data_parallel, "LEAST_SHARED", SHARED)
    models = {
        "inks of the data": {"name": "plain", "width": 16},
        "toy": {"width": 16},
        "plain": {"width": 16},
        "spectral": {"name": "plain", "width": 16, "spectral": True},
    }

    def make(objective, network, **overrides):
        config = tiny(objective, mark__inks=int(network == "inks of the data"), **overrides)
        config.model = defaults.block(**{"name": network, "latent": 8, **models[network]})
        return config

    return make


def leaves(tree):
    return {name: np.asarray(leaf) for name, leaf in train_state.flatten_with_names(tree).items()}


def gap(a, b):
    """Largest difference of two trees, relative to the largest entry of its leaf."""
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    return max(np.abs(a[name] - b[name]).max() / max(np.abs(a[name]).max(), 1e-3) for name in a if a[name].size)


@pytest.fixture
def smooth(monkeypatch):
    """Activations without a kink.

    Two orders of one sum differ in the last bit; a number that close to the kink falls on either side of it, and the
    gradient jumps. With these, what is left between two ways of counting is rounding alone.
    """
    relu = lambda x: jax.nn.softplus(16 * x) / 16
    monkeypatch.setattr("flax.nnx.relu", relu)
    monkeypatch.setattr("flax.nnx.leaky_relu", lambda x, slope=0.01: slope * x + (1 - slope) * relu(x))


@pytest.fixture
def momentum(monkeypatch):
    """A function config -> the config with gradient descent that has a state and hides no factor in a gradient."""
    monkeypatch.setitem(OPTIMIZERS, "momentum", toy_networks.momentum)

    return functools.partial(sgd, name="momentum")


def numbers(found):
    """The parts of a state that are not random keys or counters."""
    return found.params, found.model_state, found.ema


def test_four_devices_are_simulated():
    assert len(DEVICES) == 4


def program_of(training, objective):
    """One step of a training with another objective, real images as they are."""
    model = training.model._replace(objective=objective)
    shares = dict.fromkeys(model.graphdefs, data_parallel.REPLICATED)
    step = train_step.make_train_step(model, lambda _, images: images, shares, ema_images=1e9)
    replica = step_runner.make_multi_step(step, training.runner.source, 1, unroll=True)
    return training.parallel.map_and_jit(replica, training.runner.source.specs)


def updates_of(objective):
    """How often a step updates each network."""
    return {
        name: sum(player.updates for player in objective.players if name in player.trains)
        for name in objective.networks
    }


def check_updates(objective, before, after, metrics):
    """See that each player of an objective was updated as often as it says in all steps from the first on."""
    updates = updates_of(objective)
    assert updates.keys() == after.opt_state.keys() and min(updates.values()) >= 1
    assert int(after.step) == len(metrics)
    for name, opt in after.opt_state.items():
        counts = {int(leaf) for path, leaf in leaves(opt).items() if path.endswith("count")}
        assert counts == {len(metrics) * updates[name]}, name
    # Biases may rest: adding a constant to every score changes no difference of scores.
    moving = ("kernel", "table")
    assert all((leaf != before[name]).any() for name, leaf in leaves(after.params).items() if name.endswith(moving))
    assert all(np.isfinite(list(metrics[-1].values())))


@pytest.mark.slow
def test_a_step_updates_each_player_as_often_as_it_says(on_network, momentum):
    """Other objectives are looked at in the tests of checkpoints and of devices."""
    made = build_training.build(momentum(on_network("wgan", "plain")), devices=DEVICES[:1])
    before = leaves(made.state.params)
    check_updates(made.model.objective, before, *run(made, 2))


def trace_strictly(training):
    """Trace one step while JAX neither promotes types nor adds dimensions by itself."""
    feed = training.runner.source.at(0, 1)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        jax.eval_shape(training.runner.program(1), training.state, feed)


@ONE
def test_a_step_promotes_no_type_and_no_rank_by_accident(on_network, objective):
    # Not with Adam: optax's own bias correction takes a float to the power of an integer.
    trace_strictly(build_training.build(sgd(on_network(objective, "toy")), devices=DEVICES[:1]))


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "name"), [("r3gan", "r3gan"), ("wgan_gp", "resnet"), ("hinge", "dcgan")])
def test_no_network_promotes_types_or_ranks_by_accident(tiny, objective, name):
    config = tiny(objective)
    config.model = defaults.block(
        name=name, latent=8, width=4, **({"kernel": 4, "dropout": 0.4} if name == "dcgan" else {})
    )
    trace_strictly(build_training.build(sgd(config), devices=DEVICES[:1]))


# The objectives differ in what their players train: one network each, one of them several times, both at once, both.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "network"), [("gan", "toy"), ("wgan", "plain"), ("walkthrough_dcgan", "plain"), ("vae", "plain")]
)
def test_only_the_players_in_turn_change(on_network, momentum, objective, network):
    made = build_training.build(momentum(on_network(objective, network)), devices=DEVICES[:1])
    for player in made.model.objective.players:
        alone = made.model.objective._replace(players=(player,))
        before = leaves(made.state)
        current = jax.tree.map(jnp.copy, made.state)
        after, _ = program_of(made, alone)(current, made.runner.source.at(0, 1))
        changed = {name for name, leaf in leaves(after).items() if (leaf != before[name]).any()}
        parts = {tuple(name.split("/")[:2]) for name in changed} - {("step",)}
        assert {network for part, network in parts if part in ("params", "opt_state")} == set(player.trains)
        averaged_too = {network for part, network in parts if part == "model_state"}
        assert averaged_too == {name for name in player.trains if made.state.model_state[name]}


# ── every size, every number of channels, with labels ───────────────────────────────────────

FORMS = [
    # objective, model, height, width, channels, labels, whether a step is not only traced but taken, too
    ("wgan_gp", {"name": "wgan", "kernel": 4}, 56, 56, 3, False, False),
    ("hinge", {"name": "dcgan", "kernel": 4, "dropout": 0.0}, 112, 112, 3, False, False),
    ("wgan_gp", {"name": "resnet"}, 32, 32, 3, True, False),
    ("gan", {"name": "dcgan", "kernel": 4, "dropout": 0.0}, 24, 16, 4, True, True),
    ("wgan_gp", {"name": "wgan", "kernel": 4}, 28, 28, 1, True, False),
    ("vae", {"name": "dcgan", "kernel": 4, "dropout": 0.0}, 48, 24, 1, True, False),
    ("glo", {"name": "wgan", "kernel": 4}, 28, 28, 4, True, False),
    ("r3gan", {"name": "r3gan", "blocks": 1, "expansion": 1}, 48, 24, 3, True, False),
    ("gan", {"name": "dcgan", "kernel": 4, "dropout": 0.0, "inks": 1}, 28, 28, 4, True, False),
    ("wgan_gp", {"name": "resnet", "inks": 3}, 28, 56, 3, False, False),
]


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "model", "height", "width", "channels", "labels", "taken"), FORMS)
def test_every_form_of_image_trains(tiny, drawings, objective, model, height, width, channels, labels, taken):
    folder = drawings(height, width, channels)
    model = dict(model)
    inks = model.pop("inks", 0)  # of a mark
    config = tiny(
        objective,
        data__size=height,
        data__dir=str(folder),
        data__channels=channels,
        train__batch_size=4,
        mark__inks=inks,
        **({"objective__critic_updates": 1} if objective == "wgan_gp" else {}),
    )
    config.data.width, config.data.labels = width if width != height else 0, labels
    config.model = defaults.block(latent=8, width=4, **model)
    made = build_training.build(sgd(config), devices=DEVICES[:1])
    after = made.state
    traced, _ = jax.eval_shape(made.runner.program(1), after, made.runner.source.at(0, 1))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), traced) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), after
    )
    if taken:
        after, metrics = run(made, 1)
        assert np.isfinite(list(metrics[0].values())).all()
    key, numbers = jax.random.key(0), np.arange(4)
    one, other = (np.asarray(made.model.generate(after, key, numbers, np.full(4, n, np.int32))) for n in (0, 1))
    assert one.shape == (4, height, width, channels) and one.dtype == np.uint8
    assert (one != other).any() == labels


@pytest.mark.slow
def test_labels_are_drawn_as_often_as_they_occur(on_network, monkeypatch):
    seen = []

    class Telling:
        def generator(self, z, label, *, train):
            seen.append(label)
            return jnp.zeros((len(z), 2, 2, 1))

    made = build_training.build(on_network("cgan", "plain"), devices=DEVICES[:1])
    generate = sampling.make_generate(made.model.objective, made.model.graphdefs, [30, 0, 10])
    monkeypatch.setattr(sampling, "merge", lambda *_: Telling())
    generate(made.state, jax.random.key(0), jnp.arange(4000))
    share = np.bincount(np.asarray(seen[0]), minlength=3) / 4000
    np.testing.assert_allclose(share, [0.75, 0, 0.25], atol=0.03)


def test_a_conditional_config_needs_labels(tiny, tmp_path):
    from conftest import drawing, encode_png

    from data_prep import write_tfrecords
    from data_prep.pictures.convert import ImageSpec, Item

    items, folder = [Item(f"{i}.png", 0, encode_png(drawing(i))) for i in range(10)], tmp_path / "unlabelled"
    write_tfrecords.write(items, folder, spec=ImageSpec(28), name="plain", labels=[], description="", workers=0)
    with pytest.raises(UserError, match=rf"config.data.labels is True, but {folder} has no labels: .*cluster_labels"):
        build_training.build(tiny("cgan", data__dir=str(folder)))
    with pytest.raises(UserError, match=r"config.objective.name is 'cgan', which needs labels: use --config.data.lab"):
        build_training.build(tiny("cgan", data__labels=False))


def test_every_update_has_its_own_batch_and_its_own_keys(on_network):
    seen = []

    def loss(nets, batch, keys):
        jax.debug.callback(
            lambda index, bits: seen.append((np.asarray(index), np.asarray(bits))),
            batch.index,
            jax.random.key_data(keys),
        )
        return 0.0 * jnp.sum(nets.critic(batch.image, keys=keys, train=True)) + jnp.zeros(len(batch.index)), {}

    made = build_training.build(sgd(on_network("gan", "plain", train__batch_size=4)), devices=DEVICES[:1])
    objective = made.model.objective._replace(players=(Player("critic", ("critic",), loss, updates=2),))
    program = program_of(made, objective)
    current = made.state
    for number in range(3):
        current, _ = program(current, made.runner.source.at(number, 1))
    jax.block_until_ready(current)
    jax.effects_barrier()
    assert len(seen) == 6
    assert len({int(i) for index, _ in seen for i in index}) == 24, "an image came twice within an epoch"
    assert len({tuple(bits.tolist()) for _, all_bits in seen for bits in all_bits}) == 24, "a key was used twice"


@pytest.mark.slow
def test_what_a_critic_scores_is_drawn_at_once_and_each_update_gets_its_own(on_network):
    """The generator has batch statistics and dropout: three passes of one update each draw the same images."""
    made = build_training.build(on_network("wgan", "toy", objective__critic_updates=3), devices=DEVICES[:2])
    model, source = made.model, made.runner.source
    player = model.objective.players[0]

    def alone(state, batch, keys):
        networks = train_step.merge(model.graphdefs, state.params, state.model_state)
        return player.draw(networks, batch, keys)

    def both(state, feed):
        batch = source.batch(feed, 0)
        batches, keys = train_step.prepare_updates(model, lambda _, images: images, 0, state, batch)
        one_by_one = [alone(state, jax.tree.map(lambda x, i=i: x[i], batches), keys[i]) for i in range(3)]
        # The sum over the replicas is the same on each, as results of a step have to be.
        return jax.lax.psum(jnp.stack([batches.fake, jnp.stack(one_by_one)]), "data")

    at_once, one_by_one = np.asarray(made.parallel.map_and_jit(both, source.specs)(made.state, source.at(0, 1)))
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-5, atol=1e-6)
    assert len(np.unique(at_once.reshape(3, -1)[:, 0])) == 3, "updates share a batch"


def the_same(one, metrics, other, seen):
    """Assert that two trainings came as far, but for rounding."""
    assert gap(numbers(one), numbers(other)) < 1e-5
    assert int(one.step) == int(other.step)
    for a, b in zip(metrics, seen, strict=True):
        for name in a:
            assert a[name] == pytest.approx(b[name], rel=1e-3, abs=1e-5) or "/gradient/" in name, name


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "network"), ON_DEVICES)
def test_the_number_of_devices_changes_nothing_but_rounding(on_network, smooth, momentum, objective, network):
    """Of a whole step; what the layers of other networks exchange is seen in test_networks.py."""
    config = momentum(on_network(objective, network))
    one, metrics = run(build_training.build(config, devices=DEVICES[:1]), 4)
    the_same(one, metrics, *run(build_training.build(config, devices=DEVICES), 4))


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "network"), ON_TOYS)
def test_a_checkpoint_does_not_change_what_an_objective_does(on_network, momentum, objective, network, tmp_path):
    """Four steps, which update each player as often as it says, equal two and two from a checkpoint exactly."""
    made = build_training.build(momentum(on_network(objective, network)), devices=DEVICES[:1])
    before, empty = leaves(made.state.params), jax.tree.map(jnp.zeros_like, made.state)
    half, metrics = run(made, 2)
    with contextlib.closing(checkpoints.Checkpoints(tmp_path / "checkpoints", 1)) as kept:
        kept.save(2, half, best=())
        kept.wait()
        restored = kept.restore(2, empty)
    straight, seen = run(made, 2, half, 2)
    check_updates(made.model.objective, before, straight, metrics + seen)
    resumed, _ = run(made, 2, jax.device_put(restored, jax.tree.map(lambda leaf: leaf.sharding, straight)), 2)
    assert train_state.digest(resumed) == train_state.digest(straight)


@pytest.mark.slow
def test_mappings_and_dispatches_change_nothing_but_rounding(on_network, smooth):
    """One device as four that take two steps at a time, and as two under pmap, of images that are turned as well.

    A step draws a batch for the critic and one for the generator.
    """
    rotated = {"data__rotate": 20.0, "data__mirror": True, "train__steps_per_dispatch": 2}
    config = sgd(on_network("gan", "plain", **rotated))
    one, metrics = run(build_training.build(config, devices=DEVICES[:1]), 4)
    made, found = build_training.build(config, devices=DEVICES), []
    assert made.runner.steps_per_dispatch == 2
    four = made.state
    for number in (0, 2):
        four, both = made.runner.program(2)(four, made.runner.source.at(number, 2))
        found += both.by_step()
    the_same(one, metrics, four, found)
    config.train.parallel = "pmap"
    the_same(one, metrics, *run(build_training.build(config, devices=DEVICES[:2]), 4))


@pytest.mark.slow
def test_the_scanned_form_of_an_accelerator_agrees_with_the_unrolled(on_network, smooth):
    config = sgd(on_network("wgan", "plain", train__steps_per_dispatch=2))

    def two_steps(training):
        feed = training.runner.source.at(0, 2)
        program = training.runner.program(2).lower(training.state, feed)
        state, metrics = program.compile()(training.state, feed)
        products = program.as_text().count("stablehlo.dot_general") + program.as_text().count("stablehlo.convolution")
        return numbers(state), metrics.by_step(), products

    unrolled, metrics, twice = two_steps(build_training.build(config, devices=DEVICES[:2]))
    with target.tracing_for("gpu"):
        scanned, seen, once = two_steps(build_training.build(config, devices=DEVICES[:2]))
    assert twice == 2 * once > 0
    assert gap(unrolled, scanned) < 1e-5
    for one, other in zip(metrics, seen, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("half_life", [12, 10**9])
def test_the_average_has_the_half_life_asked_for_and_warms_up(on_network, half_life):
    made = build_training.build(sgd(on_network("gan", "plain", train__ema_images=half_life)), devices=DEVICES[:1])
    current, expected = made.state, leaves(made.state.params["generator"])
    for number in range(4):
        current, _ = run(made, 1, current, number)
        # Batches of 8; early on the half-life is 5 % of the images seen.
        decay = 0.5 ** (8 / min(half_life, 0.05 * 8 * (number + 1)))
        now = leaves(current.params["generator"])
        expected = {name: now[name] + decay * (expected[name] - now[name]) for name in now}
    found = leaves(current.ema["params"]["generator"])
    for name, leaf in found.items():
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert any((leaf != now[name]).any() for name, leaf in found.items())


def test_generate_draws_the_same_picture_for_a_number_in_any_company(on_network):
    made = build_training.build(on_network("gan", "toy"), devices=DEVICES[:1])
    key = jax.random.key(0)
    many = np.asarray(made.model.generate(made.state, key, np.arange(6)))
    assert many.shape == (6, 28, 28, 3) and many.dtype == np.uint8
    few = np.asarray(made.model.generate(made.state, key, np.array([4, 1])))
    np.testing.assert_allclose(few.astype(int), many[[4, 1]].astype(int), atol=1)
    assert (many[0] != many[1]).any()


def test_a_critic_with_batch_statistics_is_refused_where_images_must_stay_apart(tiny, monkeypatch):
    from logogan_jax.networks import NETWORKS, dcgan, layers

    class Normed(dcgan.Critic):
        def __init__(self, *, size, channels, classes, outputs, width, kernel, dropout, axis_name, dtype, rngs):
            super().__init__(
                size=size, channels=channels, classes=classes, outputs=outputs, width=width, kernel=kernel,
                dropout=dropout, axis_name=axis_name, dtype=dtype, rngs=rngs,
            )  # fmt: skip
            self.norm = layers.batch_norm(3, momentum=0.9, axis_name=axis_name, dtype=dtype, rngs=rngs)

    model = defaults.block(name="dcgan", latent=8, width=4, kernel=4, dropout=0.0, spectral=True)
    config = tiny("r3gan")
    config.model = model
    with pytest.raises(UserError, match=r"config.objective.name is 'r3gan', whose critic .* normalisation"):
        build_training.build(config)
    monkeypatch.setitem(NETWORKS, "dcgan", {**NETWORKS["dcgan"], "critic": Normed})
    with pytest.raises(UserError, match=r"config.objective.name is 'r3gan', whose critic .* normalisation"):
        build_training.build(tiny("r3gan"))


# ── what the critic looks through ───────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_view_trains_the_same_on_any_number_of_devices(on_network, smooth, momentum):
    """With an objective that takes the gradient of a gradient through it."""
    config = momentum(on_network("r3gan", "plain", augment__policy="translation"))
    one, _ = run(build_training.build(config, devices=DEVICES[:1]), 3)
    made = build_training.build(config, devices=DEVICES)
    blind = jax.tree.map(jnp.copy, made.state)
    many, _ = run(made, 3)
    assert gap(numbers(one), numbers(many)) < 1e-5
    assert float(one.model_state["critic"]["augment_probability"]) == 1.0
    # See that there is a view: without one, this is another training.
    blind.model_state["critic"]["augment_probability"] *= 0
    other, _ = run(made, 3, blind)
    assert gap(numbers(one), numbers(other)) > 1e-3


@pytest.mark.slow
def test_adaptive_strength_follows_the_sign_of_the_scores(on_network):
    config = sgd(on_network("gan", "plain", augment__policy="logo", augment__adaptive=True, augment__adapt_images=80))
    config.augment.strength = 0.25
    config.optimizer.critic.learning_rate = 0.1  # soon it tells real from drawn
    made, expected, strengths = build_training.build(config, devices=DEVICES[:2]), 0.0, []
    current = made.state
    for number in range(12):
        current, (metrics,) = run(made, 1, current, number)
        expected = min(max(expected + np.sign(metrics["critic/sign"] - 0.6) * 8 / 80, 0.0), 0.25)
        # What is logged is what the images of the step were augmented with; the first are not.
        assert metrics["critic/augment_probability"] == pytest.approx([0.0, *strengths][-1], abs=1e-6)
        strengths.append(float(current.model_state["critic"]["augment_probability"]))
        assert strengths[-1] == pytest.approx(expected, abs=1e-6), number
    assert max(strengths) == pytest.approx(0.25)


def test_views_that_cannot_be_are_refused(tiny):
    for objective, changes, said in (
        ("vae", {"augment__policy": "logo"}, "config.augment.policy is for a critic"),
        ("wgan_gp", {"augment__policy": "logo", "augment__adaptive": True}, "listens to the sign"),
        ("gan", {"augment__adaptive": True}, "config.augment.adaptive is True: it needs"),
        ("gan", {"augment__policy": "hue"}, "config.augment.policy"),
    ):
        with pytest.raises(UserError, match=said):
            build_training.build(tiny(objective, **changes))


@pytest.mark.slow
def test_projections_apply_after_every_update(on_network):
    made = build_training.build(sgd(on_network("gan", "plain")), devices=DEVICES[:1])
    clip = lambda params: jax.tree.map(lambda p: jnp.clip(p, -0.01, 0.01), params)
    players = made.model.objective.players
    objective = made.model.objective._replace(players=(players[0]._replace(project={"critic": clip}), players[1]))
    program = program_of(made, objective)
    after, _ = program(made.state, made.runner.source.at(0, 1))
    assert max(np.abs(leaf).max() for leaf in leaves(after.params["critic"]).values()) <= 0.01 + 1e-9


def test_keras_rmsprop_by_hand():
    optimizer = OPTIMIZERS["rmsprop"](images_per_update=8, learning_rate=0.1, decay=1.0)
    params, gradient = jnp.array(1.0), jnp.array(2.0)
    opt, expected, square = optimizer.init(params), 1.0, 0.0
    for count in range(3):
        changes, opt = optimizer.update(gradient, opt, params)
        params = optax.apply_updates(params, changes)
        square = 0.9 * square + 0.1 * 4.0
        expected -= 0.1 / (1 + count) * 2.0 / (np.sqrt(square) + 1e-7)
        assert float(params) == pytest.approx(expected, rel=1e-5)
