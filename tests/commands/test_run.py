"""A run: the files it leaves, the resume that is exact, the samples drawn from it."""

import shutil
import subprocess

import fork_server
import jax
import numpy as np
import pytest
from conftest import (
    ROOT,
    SMALL,
    command,
    digest,
    drawing,
    encode_png,
    environment,
    finish,
    four,
    on_toy_networks,
    pictures,
    start,
    summary,
)
from PIL import Image

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item
from logogan_jax import loop, sample
from logogan_jax.config import build_model, run_config
from logogan_jax.core.errors import UserError
from logogan_jax.training import checkpoints, train_state
from logogan_jax.training.reporting import run_writer


def test_a_run_leaves_everything_it_promises(straight):
    for name in ("metrics.jsonl", "reals.png", "losses.png", "config.json", "summary.json", "report.html"):
        assert (straight / name).stat().st_size > 0, name
    assert sorted(pictures(straight / "samples")) == ["000002.png", "000004.png"]
    assert list((straight / "tensorboard").iterdir())
    lines = run_writer.read_lines(straight / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"critic/loss", "generator/loss", "critic/gradient_norm/critic", "images_per_second"} <= lines[0].keys()
    found = summary(straight)
    assert found["status"] == "finished" and found["steps"] == found["step"] == 4 and found["devices"] == 4
    assert len(found["state_sha256"]) == 64 and found["versions"]["jax"] == jax.__version__
    assert found["images_per_second"] > 0 and found["device_kind"] == "cpu"
    assert not [path for path in straight.rglob("*") if "partial" in path.name]
    page = (straight / "report.html").read_text()
    assert ">finished<" in page and "of 4 steps, 100%" in page and "Samples at step 2" in page
    reals = pictures(straight)["reals.png"]
    assert reals.shape[0] > 28 and (reals == 255).any() and (reals < 100).any()


@pytest.mark.slow
def test_only_the_newest_checkpoints_are_kept(toy_networks, shards, tmp_path):
    config = on_toy_networks(four(shards, **{"report.checkpoint_every": 1}))
    loop.train(config, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["3", "4"]


@pytest.mark.slow
def test_four_steps_equal_two_plus_two_from_memory_or_from_disk(toy_networks, shards, tmp_path):
    """A DCGAN goes on in training/test_checkpoints.py."""
    straight, half = tmp_path / "straight", tmp_path / "half"
    loop.train(on_toy_networks(four(shards)), straight)
    loop.train(on_toy_networks(four(shards, **{"train.steps": 2})), half)
    assert summary(half)["state_sha256"] != digest(straight)
    for source in ("resident", "stream"):
        workdir = shutil.copytree(half, tmp_path / source)
        loop.train(on_toy_networks(four(shards, **{"data.source": source})), workdir)
        assert digest(workdir) == digest(straight)
        for name, pixels in pictures(straight / "samples").items():
            np.testing.assert_array_equal(pictures(workdir / "samples")[name], pixels)
        losses = [
            [line["critic/loss"] for line in run_writer.read_lines(run / "metrics.jsonl")]
            for run in (straight, workdir)
        ]
        assert losses[0] == losses[1]


def test_the_checkpoint_is_the_state(straight, shards):
    config, about = run_config.read(straight)
    kept = checkpoints.Checkpoints(straight / "checkpoints", 2)
    restored = kept.restore(kept.latest(), build_model.build_model(config, about).init_state())
    assert train_state.digest(restored) == digest(straight)
    assert train_state.digest(restored._replace(step=restored.step + 1)) != digest(straight)


def test_a_finished_run_says_so_and_changes_nothing(straight, shards, capsys):
    before = {path: path.stat().st_mtime_ns for path in straight.rglob("*") if path.name != "config.json"}
    loop.train(four(shards), straight)
    assert "finished at step 4" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in straight.rglob("*") if path.name != "config.json"}
    assert before.keys() == after.keys()
    assert (straight / "samples").stat().st_mtime_ns == before[straight / "samples"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("train.seed", 1), ("optimizer.critic.learning_rate", 0.5), ("data.mirror", True), ("train.batch_size", 4)],
)
def test_a_config_that_trains_otherwise_is_refused_by_key(straight, shards, key, value):
    with pytest.raises(UserError, match=rf"config.{key} is {value!r}, but the run in .* was started with"):
        loop.train(four(shards, **{key: value}), straight)


def test_other_data_are_refused(straight, tmp_path):
    items = [Item(f"{i}.png", 0, encode_png(drawing(i + 100))) for i in range(9)]
    write_tfrecords.write(items, tmp_path / "other", spec=ImageSpec(28), name="a", labels=[], description="", workers=0)
    with pytest.raises(UserError, match=r"config.data.dir holds other images"):
        loop.train(four(tmp_path / "other"), straight)


def test_keys_that_do_not_change_the_training_may_change(straight, shards):
    config, about = run_config.read(straight)
    assert about.labels == {"box": 25, "disc": 25} and about.images == 50
    config.data.source, config.report.log_every, config.train.steps = "stream", 7, 9
    run_config.check_resumable(straight, config, about)


@pytest.mark.parametrize("lost", ["default", "default/manifest.ocdbt"])
def test_a_damaged_checkpoint_is_named(straight, shards, tmp_path, lost):
    workdir = shutil.copytree(straight, tmp_path / "run")
    damaged = workdir / "checkpoints" / "4" / lost
    shutil.rmtree(damaged) if damaged.is_dir() else damaged.write_bytes(b"")
    shutil.rmtree(workdir / "checkpoints" / "2")  # or training would go on from there
    with pytest.raises(UserError, match=r"checkpoints/4 cannot be restored .*no older one that is good"):
        loop.train(four(shards, **{"train.steps": 6}), workdir)


@pytest.mark.slow
def test_samples_come_from_the_averaged_generator_and_repeat(straight, call, tmp_path):
    flags = lambda out, *more: (f"--workdir={straight}", f"--out={tmp_path / out}", *more)
    words = command("logogan_jax.sample", *flags("a", "--num=5", "--seed=1"))
    fork_server.run(words, env=environment(), cwd=ROOT, check=True, capture_output=True)
    first = pictures(tmp_path / "a")
    assert sorted(first) == ["00000.png", "00001.png", "00002.png", "00003.png", "00004.png", "grid.png"]
    assert first["00000.png"].shape == (28, 28, 3)
    call(sample, *flags("b", "--num=7", "--seed=1"))
    np.testing.assert_array_equal(pictures(tmp_path / "b")["00004.png"], first["00004.png"])
    call(sample, *flags("c", "--num=5", "--seed=2"))
    assert (pictures(tmp_path / "c")["00000.png"] != first["00000.png"]).any()
    with pytest.raises(UserError, match="is not an empty folder"):
        call(sample, *flags("a"))


@pytest.mark.slow
def test_a_users_own_folder_trains_in_two_commands(tmp_path):
    logos = tmp_path / "my logos"
    for i in range(20):
        (logos / ("round" if i % 2 else "square")).mkdir(parents=True, exist_ok=True)
        drawing(i).save(logos / ("round" if i % 2 else "square") / f"{i}.{'jpg' if i % 3 else 'png'}")
    (logos / "round" / "notes.txt").write_text("not a picture")
    done = fork_server.run(
        command("data_prep.write_tfrecords", f"--path={logos}", "--size=28", f"--target_path={tmp_path / 'shards'}"),
        env=environment(), cwd=ROOT, check=True, text=True, capture_output=True,
    )  # fmt: skip
    assert "20 images written" in done.stdout and "1 rejected" in done.stdout
    data = f"--config.data.dir={tmp_path / 'shards'}"
    said = finish(start("configs/quickstart.py", tmp_path / "run", data, *SMALL))
    assert "Finished 2 steps" in said
    assert Image.open(tmp_path / "run" / "samples" / "000002.png").size[0] > 8 * 28


@pytest.mark.slow
def test_commands_need_no_tensorflow_and_no_tfds():
    loaded = "print([name for name in sys.modules if name.startswith('tensorflow')])"
    package = ROOT / "logogan_jax"
    commands = {path.stem for path in package.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    commands |= {path.parent.name for path in package.glob("*/__main__.py")}
    assert commands > {"main", "sample", "evaluate", "tune"}
    modules = ["loop", *sorted(commands)]  # all in one program, as in a notebook
    script = f"import sys, {', '.join(f'logogan_jax.{module}' for module in modules)}; {loaded}"
    command_line = [*command("x")[:1], "-c", script]
    found = subprocess.run(command_line, env=environment(), cwd=ROOT, text=True, capture_output=True, check=True)
    assert found.stdout.strip() == "[]"
