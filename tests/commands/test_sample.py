"""Pictures of one label, and reconstructions: what the sample command draws beside plain pictures."""

import subprocess

import numpy as np
import pytest
from conftest import ROOT, command, environment, failing, four, pictures

from logogan_jax import train
from logogan_jax.config import defaults, restore
from logogan_jax.core import images
from logogan_jax.data.dataset import TFRecordDataset

ADAM = {"name": "adam", "learning_rate": 2e-3, "b1": 0.5, "b2": 0.999}


def finished(shards, workdir, objective, *roles, **changes):
    """A run of a few steps of an objective."""
    config = four(shards, **{"train.steps": 60, "train.batch_size": 16, **changes})
    config.report.update(log_every=20, samples_every=60, checkpoint_every=60)
    config.model = defaults.block(name="dcgan", latent=8, width=8, kernel=4, dropout=0.0)
    config.objective = defaults.block(name=objective)
    config.optimizer = defaults.block(**{role: dict(ADAM) for role in roles})
    train.train(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def conditional(shards, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "cgan"
    return finished(shards, workdir, "cgan", "generator", "critic", **{"data.labels": True})


def sampled(workdir, out, *flags):
    done = subprocess.run(
        command("logogan_jax.sample", f"--workdir={workdir}", f"--out={out}", *flags),
        env=environment(), cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return pictures(out)


@pytest.mark.slow
def test_a_label_is_drawn_by_name(conditional, tmp_path):
    box, disc, both = (
        sampled(conditional, tmp_path / name, "--num=20", *flags)
        for name, flags in (("box", ["--label=box"]), ("disc", ["--label=disc"]), ("both", []))
    )
    names = [f"{i:05d}.png" for i in range(20)]
    assert all((box[name] != disc[name]).any() for name in names)
    of_label = [(both[name] == box[name]).all() for name in names]
    assert all(
        (both[name] == (box if is_box else disc)[name]).all() for name, is_box in zip(names, of_label, strict=True)
    )
    assert 0 < sum(of_label) < 20


@pytest.mark.slow
def test_a_label_that_is_not_there_is_named(conditional, straight, tmp_path):
    line = failing(f"--workdir={conditional}", "--label=star", f"--out={tmp_path / 'a'}", module="logogan_jax.sample")
    assert "--label is 'star': it should be one of box, disc" in line
    line = failing(f"--workdir={straight}", "--label=box", f"--out={tmp_path / 'b'}", module="logogan_jax.sample")
    assert "this run was told none" in line
    line = failing(f"--workdir={straight}", "--reconstruct", f"--out={tmp_path / 'c'}", module="logogan_jax.sample")
    assert "config.objective.name is 'gan', which draws but does not reconstruct" in line
    assert not (tmp_path / "a").exists() and not (tmp_path / "c").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "other"), [("vae", "encoder"), ("glo", "codes")])
def test_reconstructions_are_of_the_images_beside_them(shards, tmp_path, objective, other):
    changes = {"data.held_out": 0.5, "train.steps": 240, "evaluate.every_images": 0}
    workdir = finished(shards, tmp_path / "run", objective, "generator", other, **changes)
    drawn = sampled(workdir, tmp_path / "out", "--reconstruct", "--num=20")
    data = TFRecordDataset(shards, size=(28, 28), channels=3)
    train_part, held_out = data.split(0.5, 1)
    reals = (train_part if objective == "glo" else held_out).pixels(20)
    made = np.stack([drawn[f"{i:05d}.png"] for i in range(20)])
    error = np.abs(made[:, None].astype(int) - reals[None]).mean((2, 3, 4))
    assert (error.argmin(axis=1) == np.arange(20)).mean() > 0.5, "nearer to its own image than to any other"
    run = restore.restore(workdir, "newest")
    beside, again = restore.reconstruct(run, 20)
    np.testing.assert_array_equal(beside, reals)
    pairs = images.make_grid(np.stack([beside, again], axis=1).reshape(-1, 28, 28, 3), columns=10)
    np.testing.assert_allclose(drawn["grid.png"][::4, ::4].astype(int), pairs.astype(int), atol=1)
