"""A new run starts from the weights of another: what fits is taken, and the rest is named."""

import functools
import json
import shutil

import jax
import numpy as np
import pytest
from conftest import devices, digest, four, on_toy_networks, sgd

from logogan_jax import loop
from logogan_jax.config import build_training, defaults, restore, run_config, warm_start
from logogan_jax.config.build_model import build_model
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.distributed import multihost
from logogan_jax.export import __main__ as export
from logogan_jax.networks import spectral_norm
from logogan_jax.training import train_state
from logogan_jax.training import warm_start as weights
from logogan_jax.training.train_state import flatten_with_names

pytestmark = pytest.mark.slow  # runs are trained
INFO = DatasetInfo("0" * 64, 50, {"box": 25, "disc": 25}, ("#000000", "#ff0000"))


def small(shards, **changes):
    config = on_toy_networks(four(shards, **{"evaluate.every_images": 0, **changes}))
    config.report.update(log_every=2, samples_every=0, checkpoint_every=2)
    return config


@pytest.fixture(scope="module")
def source(shards, tmp_path_factory, toy_networks):
    """A finished run of four steps."""
    workdir = tmp_path_factory.mktemp("runs") / "source"
    with devices(1):
        loop.train(small(shards), workdir)
    return workdir


def other(shards, **changes):
    """The config of another run: another seed, another optimizer, augmentation, and a frozen layer."""
    values = {"train.seed": 5, "augment.policy": "translation", "train.freeze_critic": 1, **changes}
    return sgd(small(shards, **values), rate=1e-3, name="momentum")


def prepared(config, folder, address):
    folder.mkdir(exist_ok=True)
    return warm_start.prepare(build_training.build(config, devices=jax.devices()[:1]), folder, str(address))


def leaves(tree):
    return {name: np.asarray(value) for name, value in flatten_with_names(tree).items()}


# ── what a run starts from ──────────────────────────────────────────────────────────────────


def test_each_network_starts_from_its_own_and_the_rest_as_in_any_run(source, shards, tmp_path):
    training = prepared(other(shards), tmp_path, source)
    before, state = restore.restore(str(source), "newest").state, warm_start.first_state(training)
    for part in ("params", "model_state"):
        found, wanted = leaves(getattr(state, part)["generator"]), leaves(getattr(before, part)["generator"])
        averaged = leaves(before.ema[part]["generator"])
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
        assert all(np.array_equal(leaves(state.ema[part]["generator"])[name], averaged[name]) for name in averaged)
    assert any((averaged[name] != wanted[name]).any() for name in wanted)
    critic = leaves(before.params["critic"])
    assert all(np.array_equal(leaves(state.params["critic"])[f"critic/{name}"], critic[name]) for name in critic)
    assert int(state.step) == 0 and all(not value.any() for value in leaves(state.opt_state).values())
    assert float(state.model_state["critic"]["augment_probability"]) == 1  # that of the config
    record = training.warm_start
    assert (record["run"], record["step"], record["from"]) == ("source", 4, str(source))
    assert record["source_sha256"] == train_state.digest(before)
    assert record["new"] == {"model_state/critic/augment_probability": "of this run"} and not record["unused"]


def test_the_run_goes_on_exactly_without_the_other_one_and_frozen_layers_stay(source, shards, tmp_path, capsys):
    copy = shutil.copytree(source, tmp_path / "copy")
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    loop.train(other(shards), straight, init_from=str(copy))
    said = "".join(capsys.readouterr())
    assert f"those of copy at step 4 ({copy})" in said and "critic/augment_probability (of this run)" in said
    loop.train(other(shards, **{"train.steps": 2}), halves, init_from=str(copy))
    first = prepared(other(shards), tmp_path / "begun", copy)
    run_config.write(tmp_path / "begun", first.config, first.info, first.warm_start)  # killed before a checkpoint
    shutil.rmtree(copy)
    loop.train(other(shards), halves, init_from=str(copy))
    loop.train(other(shards), tmp_path / "begun")
    assert digest(halves) == digest(straight) == digest(tmp_path / "begun")
    before, after = (restore.restore(str(run), "newest").state.params for run in (source, straight))
    for name, value in leaves(before["critic"]).items():
        still = np.array_equal(leaves(after["critic"])[f"critic/{name}"], value)
        assert still == name.startswith("stem/"), name
    assert any((leaves(after["generator"])[name] != value).any() for name, value in leaves(before["generator"]).items())
    with pytest.raises(UserError, match=rf"^--init_from={source}: the run in .* was started from {copy}: leave"):
        loop.train(other(shards), halves, init_from=str(source))
    with pytest.raises(UserError, match="was started from random weights: leave --init_from to resume it"):
        loop.train(small(shards), source, init_from=str(halves))
    (halves / "warm_start.npz").write_bytes(b"")
    shutil.rmtree(tmp_path / "begun" / "checkpoints")
    loop.train(other(shards), halves)  # its checkpoints are enough


@pytest.mark.parametrize("critic", [False, True])
def test_an_archive_gives_its_averages_and_the_critic_if_it_has_one(source, shards, tmp_path, call, critic):
    pytest.importorskip("safetensors")
    out = tmp_path / "mine.safetensors"
    call(export, f"--workdir={source}", "--step=newest", "--format=safetensors", f"--out={out}", f"--critic={critic}")
    training = prepared(small(shards), tmp_path / "run", out)
    before, state = restore.restore(str(source), "newest").state, warm_start.first_state(training)
    for found in (state.params, state.ema["params"]):
        wanted = leaves(before.ema["params"]["generator"])
        assert all(np.array_equal(leaves(found["generator"])[name], wanted[name]) for name in wanted)
    for name, value in leaves(before.params["critic"]).items():
        assert np.array_equal(leaves(state.params["critic"])[name], value) == (critic or not value.any()), name
    said = "\n".join(warm_start.describe(training.warm_start))
    assert ("The critic starts from random weights" in said) == (not critic)
    frozen = small(shards, **{"train.freeze_critic": 1})
    if not critic:
        with pytest.raises(UserError, match=r"freeze_critic is 1, but weights .* random \(params/critic/stem/bias"):
            prepared(frozen, tmp_path / "frozen", out)


def test_mistakes_are_told_in_one_line(source, shards, tmp_path):
    refused = lambda line: pytest.raises(UserError, match=line)
    narrow = small(shards)
    narrow.model.width = 24
    with refused(r"^--init_from=.*: nothing fits, as .*stem.* is \[.*\] there.*: use the config.model"):
        prepared(narrow, tmp_path, source)
    with refused("^--init_from=.*nowhere holds no run"):
        prepared(small(shards), tmp_path, tmp_path / "nowhere")
    with refused("^--init_from=.*a.safetensors: there is no such file"):
        prepared(small(shards), tmp_path, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"{}")
    with refused("^--init_from=.*b.safetensors is no archive of a run"):
        prepared(small(shards), tmp_path, tmp_path / "b.safetensors")
    with refused("freeze_critic is 1, but weights of these layers would be random .all of them, without --init_from"):
        prepared(small(shards, **{"train.freeze_critic": 1}), tmp_path, "")
    assert not (tmp_path / "warm_start.npz").exists()


def test_a_process_that_is_alone_waits_for_no_other(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with multihost.alone():
        assert multihost.run_on_primary(lambda: 5) == 5 and multihost.broadcast("state", None) == "state"


# ── what fits ───────────────────────────────────────────────────────────────────────────────


@functools.cache
def state_of(spectral=False, **changes):
    """The Model of a config, and a state of the right shapes: each array has numbers of its own."""
    config = defaults.get_config()
    config.model = defaults.block(name="dcgan", latent=8, width=4, kernel=4, dropout=0.0, spectral=spectral)
    config.objective = defaults.block(name="gan")
    config.update_from_flattened_dict({"data.size": 28, "train.dtype": "float32", **changes})
    model = build_model(config, INFO._replace(inks=("#00", "#80")) if config.data.channels == 1 else INFO)
    random = np.random.default_rng(len(changes))
    numbers = lambda shape: random.normal(size=shape.shape).astype(shape.dtype)
    return model, config, jax.tree.map(numbers, jax.eval_shape(model.init_state))


def fitted(here, there):
    """The Fit of a state of some changes of the config to the weights of another."""
    model, config, state = state_of(**here)
    _, other_config, other_state = state_of(**there)
    taken = weights.Weights(
        weights.weights_of(other_state.params, other_state.model_state),
        weights.weights_of(other_state.ema["params"], other_state.ema["model_state"]),
    )
    training = build_training.Training(config, model, *[None] * 5, INFO, None, None, "")
    source = warm_start.Source(other_config, INFO, taken, {})
    return weights.fit(state, taken, warm_start._skipped(training, state, source))


def test_larger_images_get_what_the_layers_allow():
    fit = fitted({"data.size": 56}, {"data.size": 28})
    new = {name.partition("/")[2] for name in fit.new if name.startswith("params")}
    assert new == {
        "generator/ups/2/kernel", "generator/ups/2/bias", "generator/norms/2/scale", "generator/norms/2/bias",
        "critic/out/kernel",
    }  # fmt: skip
    assert fit.new["params/critic/out/kernel"] == "[128, 1] there, [512, 1] here"
    assert "model_state/generator/norms/1/mean" in fit.taken and "ema/params/generator/ups/0/kernel" in fit.arrays


def test_other_channels_and_labels_change_the_layers_that_see_them():
    new = {*fitted({"data.channels": 1}, {}).new}
    assert new == {"params/generator/out/kernel", "params/generator/out/bias", "params/critic/convs/0/kernel"}
    labels = {"data.labels": True, "objective.name": "cgan"}
    assert {*fitted(labels, {}).new} == {
        "params/generator/label_embedding/table", "params/generator/stem/kernel", "params/critic/out/table",
    }  # fmt: skip


def test_colours_of_marks_are_those_of_the_new_data_and_fields_are_no_colours():
    marks = {"mark.inks": 1}
    assert {*fitted(marks, marks).new} == {"model_state/generator/table"}
    new = {*fitted({"mark.inks": 3}, {}).new}
    assert new >= {"params/generator/trunk/out/kernel", "params/generator/sharpness"}
    assert "params/generator/trunk/refine/kernel" not in new
    grey = {"data.channels": 1}
    assert fitted({**marks, **grey}, grey).new["params/critic/convs/0/kernel"] == "its critic saw other images"


def test_each_kernel_has_its_own_singular_vector():
    here = {"spectral": True}
    fit = fitted(here, {})
    name = "critic/convs/1"
    kernel, vector = fit.arrays[f"params/{name}/kernel"], fit.arrays[f"model_state/{name}/singular_vector"]
    normal = spectral_norm.normalize(kernel, spectral_norm.PowerIterationVector(vector), train=False)
    assert np.linalg.svd(np.asarray(normal).reshape(-1, kernel.shape[-1]))[1][0] == pytest.approx(1, abs=0.05)
    fit = fitted({**here, "data.channels": 1}, here)
    assert "model_state/critic/convs/0/singular_vector" not in fit.arrays, "its kernel is new"
    assert "model_state/critic/convs/1/singular_vector" in fit.arrays


# ── records ─────────────────────────────────────────────────────────────────────────────────


def test_runs_of_before_froze_nothing_and_go_on(shards, tmp_path):
    config = build_training.resolve(small(shards))
    run_config.write(tmp_path, config, INFO)
    content = json.loads((tmp_path / "config.json").read_text())
    del content["config"]["train"]["freeze_critic"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    run_config.check_recipe(tmp_path, config)
    assert run_config.read_warm_start(tmp_path) == {}
