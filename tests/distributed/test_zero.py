"""Shares of the optimizers' state: who has which, and that nothing but rounding tells whether there are any."""

import contextlib

import jax
import numpy as np
import optax
import pytest
from conftest import on_toy_networks, run, sgd
from jax.sharding import PartitionSpec as P
from toy_networks import SHARED

from logogan_jax.config import build_training
from logogan_jax.core import target
from logogan_jax.distributed import data_parallel
from logogan_jax.training import checkpoints, nonfinite, train_state, train_step
from logogan_jax.training.optimizers import OPTIMIZERS

DEVICES = jax.devices()
VALUES = {
    "adam": {"images_per_update": 8, "b1": 0.5, "b2": 0.9, "warmup_images": 16},
    "rmsprop": {"images_per_update": 8, "decay": 0.1},
    "rmsprop_by_turns": {"second_learning_rate": 0.2},
    "sgd": {"images_per_update": 8},
    "momentum": {"images_per_update": 8},
}


@pytest.fixture
def build(tiny, toy_networks):
    """A function (devices, least=SHARED) -> Training of toys whose leaves of at least so many numbers are shared."""

    def make(count, least=SHARED):
        config = sgd(on_toy_networks(tiny(), "plain"), name="momentum")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data_parallel, "LEAST_SHARED", least)
            return build_training.build(config, devices=DEVICES[:count])

    return make


def arrays(state):
    return {name: np.asarray(leaf) for name, leaf in train_state.flatten_with_names(state).items()}


def shared(state):
    """The names of the leaves of which a device has only a part."""
    return {
        name
        for name, leaf in train_state.flatten_with_names(state).items()
        if leaf.addressable_shards[0].data.size < leaf.size
    }


def saved(folder, step, state):
    """Checkpoints with one of this state."""
    kept = checkpoints.Checkpoints(folder, 1)
    kept.save(step, state)
    kept.wait()
    return contextlib.closing(kept)


def test_large_leaves_are_cut_along_rows_that_devices_divide(monkeypatch):
    monkeypatch.setattr(data_parallel, "LEAST_SHARED", 64)
    shape = lambda *sides: jax.ShapeDtypeStruct(sides, np.float32)
    leaves = {"large": shape(16, 4), "odd": shape(9, 16), "small": shape(8, 4), "one": shape()}
    replicated = dict.fromkeys(leaves, data_parallel.REPLICATED)
    assert data_parallel.share_layout(leaves, 4) == replicated | {"large": P("data")}
    assert data_parallel.share_layout(leaves, 1) == replicated


def test_devices_under_pmap_and_a_device_alone_hold_everything():
    assert data_parallel.DataParallel("pmap", 8, DEVICES).parts == 1
    assert data_parallel.DataParallel("shard_map", 8, DEVICES[:1]).parts == 1
    assert data_parallel.DataParallel("shard_map", 8, DEVICES).parts == len(DEVICES)


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUES)
def test_an_optimizer_does_to_shares_what_it_does_to_the_whole(toy_networks, monkeypatch, name):
    monkeypatch.setattr(data_parallel, "LEAST_SHARED", 64)
    optimizer = OPTIMIZERS[name](learning_rate=0.1, **VALUES[name])
    draw = np.random.default_rng(0).normal
    params = {"large": draw(size=(16, 4)).astype(np.float32), "small": draw(size=3).astype(np.float32)}
    # Of each device another one, and some so small that an optimizer that scales them hides no lost factor.
    gradients = {key: (draw(size=(1, 1, 4, *leaf.shape)) * 1e-8).astype(np.float32) for key, leaf in params.items()}
    layout = data_parallel.share_layout(params, 4)

    def replica(state, feed):
        params, opt = state
        mean = data_parallel.mean_share(jax.tree.map(lambda leaf: leaf[0, 0, 0], feed), layout)
        own = data_parallel.own_share(params, layout)
        updates, opt = optimizer.update(mean, opt, own)
        return (
            data_parallel.gather_shares(optax.apply_updates(own, updates), layout),
            opt,
        ), data_parallel.gather_shares(mean, layout)

    parallel = data_parallel.DataParallel("shard_map", 4, DEVICES)
    opt = jax.device_get(optimizer.init(params))
    specs = (data_parallel.REPLICATED, data_parallel.share_layout(opt, 4))
    step = parallel.map_and_jit(replica, data_parallel.BATCH, state=specs, results=(specs, data_parallel.REPLICATED))
    found, whole = parallel.device_put((params, opt), specs), (params, opt)
    assert bool(shared(found)) == (name != "sgd")
    mean = jax.tree.map(lambda leaf: leaf[0, 0].mean(axis=0), gradients)
    for _ in range(3):
        found, seen = step(found, parallel.device_put(gradients, data_parallel.BATCH))
        updates, opt = optimizer.update(mean, whole[1], whole[0])
        whole = (optax.apply_updates(whole[0], updates), opt)
        for path, leaf in arrays((whole, mean)).items():
            np.testing.assert_allclose(arrays((found, seen))[path], leaf, rtol=1e-4, atol=1e-12, err_msg=path)


def test_every_optimizer_is_tried_in_shares(toy_networks):
    assert VALUES.keys() == OPTIMIZERS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(("least", "wrote"), [(SHARED, 4), (SHARED, 1), (1 << 40, 4)])
def test_a_checkpoint_is_of_the_whole_state_whoever_wrote_it(build, tmp_path, least, wrote):
    """Also one of before there were shares; and four devices go on to the bit as if they had never stopped."""
    made = build(wrote, least=least)
    state, _ = run(made, 2)
    bits = train_state.digest(state)
    with saved(tmp_path / "checkpoints", 2, state) as kept:
        for count in (1, 2, 4):
            reader = build(count)
            restored = kept.restore(2, reader.state)
            assert train_state.digest(restored) == bits
            placed = reader.parallel.device_put(restored, reader.runner.layout)
            assert bool(shared(placed)) == (count > 1) and train_state.digest(placed) == bits
            if count == wrote and least == SHARED:
                straight, _ = run(made, 2, state, 2)
                resumed, _ = run(reader, 2, placed, 2)
                assert train_state.digest(resumed) == train_state.digest(straight)


@pytest.mark.slow
def test_a_step_that_broke_is_kept_whole(build, tmp_path):
    made = build(4)
    recorder = nonfinite.NonFiniteRecorder(tmp_path, made.runner, made.read_batch, last=4)
    folder = recorder.write(nonfinite.NonFinite(1, "critic/loss", float("nan")), 0, made.state, name="000001")
    assert train_state.digest(nonfinite.read(folder, made.model.init_state()).state) == train_state.digest(made.state)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_the_norms_of_gradients_are_those_of_whole_arrays(monkeypatch, backend):
    """Of leaves of which each device has a share, and of leaves that all have."""
    monkeypatch.setattr(data_parallel, "LEAST_SHARED", 64)
    draw = np.random.default_rng(0).normal
    gradients = {
        "b": draw(size=(1024, 8)),
        "large": draw(size=(16, 4)),
        "odd": draw(size=(9, 16)),
        "one": draw(size=()),
    }
    gradients = {name: np.float32(leaf) for name, leaf in gradients.items()}
    layout = data_parallel.share_layout(gradients, 4)

    def replica(own, feed):
        return own, train_step.gradient_norms("critic", own, layout)

    parallel = data_parallel.DataParallel("shard_map", 4, DEVICES)
    with target.tracing_for(backend):
        program = parallel.map_and_jit(
            replica, data_parallel.BATCH, state=layout, results=(layout, data_parallel.REPLICATED)
        )
        feed = parallel.device_put(np.zeros((1, 1, 4)), data_parallel.BATCH)
        own, norms = program(parallel.device_put(gradients, layout), feed)
    assert shared(own) == {"b", "large"}
    assert norms.keys() == {f"gradient/critic/{name}" for name in gradients}
    for name, leaf in gradients.items():
        assert float(norms[f"gradient/critic/{name}"]) == pytest.approx(np.linalg.norm(leaf.ravel()), rel=1e-5), name
