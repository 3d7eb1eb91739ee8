"""One step: who moves and how often, what is fresh, and that devices and mappings do not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import run, sgd

from logogan_jax import build, state, step
from logogan_jax.errors import UserError
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.objectives.base import Player

DEVICES = jax.devices()
EVERY = pytest.mark.parametrize("objective", sorted(OBJECTIVES))


def leaves(tree):
    return {name: np.asarray(leaf) for name, leaf in state.paths(tree).items()}


def gap(a, b):
    """Largest difference of two trees, relative to the largest entry of its leaf."""
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    return max(np.abs(a[name] - b[name]).max() / max(np.abs(a[name]).max(), 1e-3) for name in a if a[name].size)


def numbers(found):
    """The parts of a state that are not random keys or counters."""
    return found.params, found.stats, found.ema


def test_four_devices_are_simulated():
    assert len(DEVICES) == 4


@EVERY
def test_a_step_updates_each_player_as_often_as_it_says(tiny, objective):
    made = build.training(tiny(objective), devices=DEVICES[:1])
    before = leaves(made.state.params)
    after, metrics = run(made, 2)
    updates = {player.trains[0]: 2 * player.updates for player in made.model.objective.players}
    for name, opt in after.opt.items():
        counts = {int(leaf) for path, leaf in leaves(opt).items() if path.endswith("count")}
        assert counts == {updates[name]}, name
    # Biases may rest: adding a constant to every score changes no difference of scores.
    assert all((leaf != before[name]).any() for name, leaf in leaves(after.params).items() if name.endswith("kernel"))
    assert int(after.step) == 2
    assert all(np.isfinite(list(metrics[1].values())))


@pytest.mark.parametrize("player", [0, 1])
def test_only_the_player_in_turn_changes(tiny, player):
    config = tiny("dcgan")
    made = build.training(config, devices=DEVICES[:1])
    alone = made.model.objective._replace(players=made.model.objective.players[player : player + 1])
    one = step.make_step(alone, made.model.graphs, made.model.optimizers, augment=lambda _, x: x, ema_images=1e9)
    replica = step.make_replica(one, made.source, 1)
    before = leaves(made.state)
    after, _ = made.parallel.program(replica, made.source.specs)(made.state, made.source.at(0, 1))
    changed = {name for name, leaf in leaves(after).items() if (leaf != before[name]).any()}
    own, other = ("critic", "generator") if player == 0 else ("generator", "critic")
    parts = {tuple(name.split("/")[:2]) for name in changed}
    assert ("params", own) in parts and ("opt", own) in parts
    assert (("stats", own) in parts) == (own == "generator"), "its batch norm keeps running statistics"
    assert not {("params", other), ("opt", other), ("stats", other)} & parts


def test_every_update_has_its_own_batch_and_its_own_keys(tiny):
    seen = []

    def loss(nets, batch, keys):
        jax.debug.callback(
            lambda index, bits: seen.append((np.asarray(index), np.asarray(bits))),
            batch.index,
            jax.random.key_data(keys),
        )
        return 0.0 * jnp.sum(nets.critic(batch.image, keys=keys, train=True)) + jnp.zeros(len(batch.index)), {}

    made = build.training(tiny("dcgan", train__batch_size=4), devices=DEVICES[:1])
    objective = made.model.objective._replace(players=(Player("critic", ("critic",), loss, updates=2),))
    one = step.make_step(objective, made.model.graphs, made.model.optimizers, augment=lambda _, x: x, ema_images=10)
    program = made.parallel.program(step.make_replica(one, made.source, 1), made.source.specs)
    current = made.state
    for number in range(3):
        current, _ = program(current, made.source.at(number, 1))
    jax.block_until_ready(current)
    jax.effects_barrier()
    assert len(seen) == 6
    assert len({int(i) for index, _ in seen for i in index}) == 24, "an image came twice within an epoch"
    assert len({tuple(bits.tolist()) for _, all_bits in seen for bits in all_bits}) == 24, "a key was used twice"


@EVERY
@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_device_counts_agree(tiny, objective, devices):
    config = sgd(tiny(objective, data__rotate=20.0, data__mirror=True))
    one, _ = run(build.training(config, devices=DEVICES[:1]), 5)
    many, _ = run(build.training(config, devices=DEVICES[:devices]), 5)
    assert gap(numbers(one), numbers(many)) < 1e-5


@EVERY
def test_shard_map_and_pmap_agree(tiny, objective):
    results = [
        run(build.training(sgd(tiny(objective, train__parallel=how)), devices=DEVICES[:2]), 3)
        for how in ("shard_map", "pmap")
    ]
    assert gap(numbers(results[0][0]), numbers(results[1][0])) < 1e-6
    for name, value in results[0][1][-1].items():
        assert results[1][1][-1][name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


@pytest.mark.slow
@EVERY
def test_steps_per_dispatch_change_nothing_but_rounding(tiny, objective):
    config = sgd(tiny(objective, train__steps_per_dispatch=2))
    made = build.training(config, devices=DEVICES[:1])
    assert made.per_dispatch == 2
    single, metrics = run(made, 4)
    double, found = build.training(config, devices=DEVICES[:1]).state, []
    for number in (0, 2):
        double, both = made.program(2)(double, made.source.at(number, 2))
        found += [{name: float(value[i]) for name, value in both.items()} for i in (0, 1)]
    assert gap(numbers(single), numbers(double)) < 1e-5
    assert int(double.step) == 4
    for a, b in zip(metrics, found, strict=True):
        assert a["critic/loss"] == pytest.approx(b["critic/loss"], rel=1e-4)


def test_the_scanned_form_of_an_accelerator_agrees_with_the_unrolled(tiny, monkeypatch):
    config = sgd(tiny("wgan_gp"))
    unrolled, _ = run(build.training(config, devices=DEVICES[:2]), 2)
    monkeypatch.setattr("logogan_jax.loop.jax.default_backend", lambda: "gpu")
    monkeypatch.setattr("logogan_jax.conv.jax.default_backend", lambda: "gpu")
    made = build.training(config, devices=DEVICES[:2])
    assert "while" in made.program(1).lower(made.state, made.source.at(0, 1)).as_text()
    scanned, _ = run(made, 2)
    assert gap(numbers(unrolled), numbers(scanned)) < 1e-5


@pytest.mark.parametrize("half_life", [12, 10**9])
def test_the_average_has_the_half_life_asked_for_and_warms_up(tiny, half_life):
    made = build.training(tiny("dcgan", train__ema_images=half_life), devices=DEVICES[:1])
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


def test_generate_draws_the_same_picture_for_a_number_in_any_company(tiny):
    made = build.model(tiny("dcgan"))
    key = jax.random.key(0)
    many = np.asarray(made.generate(made.state, key, np.arange(6)))
    assert many.shape == (6, 28, 28, 3) and many.dtype == np.uint8
    few = np.asarray(made.generate(made.state, key, np.array([4, 1])))
    np.testing.assert_allclose(few.astype(int), many[[4, 1]].astype(int), atol=1)
    assert (many[0] != many[1]).any()


def test_bfloat16_trains_with_float32_weights(tiny):
    after, metrics = run(build.training(tiny("wgan_gp", train__dtype="bfloat16"), devices=DEVICES[:1]), 2)
    assert {leaf.dtype for leaf in leaves(after.params).values()} == {np.dtype("float32")}
    assert np.isfinite(list(metrics[-1].values())).all()


@pytest.mark.parametrize("channels", [1])
def test_grey_images_train(tiny, channels, tmp_path):
    from conftest import drawing, png

    from data_prep import write_tfrecords
    from data_prep.pictures.convert import Frame, Item

    items = [Item(f"{i}.png", 0, png(drawing(i))) for i in range(8)]
    write_tfrecords.write(
        items, tmp_path / "grey", frame=Frame(28, 1), name="grey", labels=[], description="", workers=0
    )
    config = tiny("wgan_gp", data__channels=channels, data__dir=str(tmp_path / "grey"))
    after, _ = run(build.training(config, devices=DEVICES[:1]), 1)
    assert np.asarray(after.params["critic"]["convs"][0]["kernel"]).shape[2] == 1


def test_a_critic_with_batch_norm_is_refused_where_images_must_stay_apart(tiny, monkeypatch):
    from flax import nnx

    from logogan_jax.networks import NETWORKS, blocks, wgan

    class Normed(wgan.Critic):
        def __init__(self, *, size, channels, width, kernel, dtype, rngs):
            super().__init__(size=size, channels=channels, width=width, kernel=kernel, dtype=dtype, rngs=rngs)
            self.norm = blocks.batch_norm(3, momentum=0.9, dtype=dtype, rngs=rngs)

    class Room:
        Generator, Critic = wgan.Generator, Normed

    monkeypatch.setitem(NETWORKS, "wgan", Room)
    assert issubclass(Normed, nnx.Module)
    with pytest.raises(UserError, match=r"config.objective.name is 'wgan_gp', whose critic .* batch normalisation"):
        build.model(tiny("wgan_gp"))


def test_projections_apply_after_every_update(tiny):
    made = build.training(tiny("dcgan"), devices=DEVICES[:1])
    clip = lambda params: jax.tree.map(lambda p: jnp.clip(p, -0.01, 0.01), params)
    players = made.model.objective.players
    objective = made.model.objective._replace(players=(players[0]._replace(project={"critic": clip}), players[1]))
    one = step.make_step(objective, made.model.graphs, made.model.optimizers, augment=lambda _, x: x, ema_images=10)
    program = made.parallel.program(step.make_replica(one, made.source, 1), made.source.specs)
    after, _ = program(made.state, made.source.at(0, 1))
    assert max(np.abs(leaf).max() for leaf in leaves(after.params["critic"]).values()) <= 0.01 + 1e-9


def test_keras_rmsprop_by_hand():
    from logogan_jax.optimizers import OPTIMIZERS

    optimizer = OPTIMIZERS["rmsprop"](learning_rate=0.1, decay=1.0)
    params, gradient = jnp.array(1.0), jnp.array(2.0)
    opt, expected, square = optimizer.init(params), 1.0, 0.0
    for count in range(3):
        changes, opt = optimizer.update(gradient, opt, params)
        params = optax.apply_updates(params, changes)
        square = 0.9 * square + 0.1 * 4.0
        expected -= 0.1 / (1 + count) * 2.0 / (np.sqrt(square) + 1e-7)
        assert float(params) == pytest.approx(expected, rel=1e-5)
