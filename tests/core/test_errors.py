"""Every mistake that a user can mend is one line that says how; nothing bad is saved, overwritten or half-written."""

import errno
import os
import shutil
import subprocess
import time
import types

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, command, environment, failing, four, on_toy_networks, summary

from logogan_jax import loop, sample
from logogan_jax.config import defaults
from logogan_jax.core import errors
from logogan_jax.core.errors import UserError
from logogan_jax.training import checkpoints
from logogan_jax.training.metric_accumulator import MetricAccumulator, join_gradient_norms
from logogan_jax.training.metric_rows import MetricRows
from logogan_jax.training.workdir import locked_folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.batch_size": 6}, r"config.train.batch_size is 6, which is not divisible by 4 devices: .*batch_size=4"),
        ({"train.batch_size": 64}, r"50 images to train on are fewer than one batch: .*batch_size=48"),
        ({"train.batch_size": 0}, r"config.train.batch_size is 0: it should be at least 1"),
        ({"train.dtype": "float16"}, r"config.train.dtype is 'float16'"),
        ({"evaluate.guard": "yes"}, r"config.evaluate.guard is 'yes': it should be 'on', 'warn' or 'off'"),
        ({"evaluate.samples": 3}, r"config.evaluate.samples is 3: it should be at least 10"),
        ({"evaluate.features": "vgg", "data.held_out": 0.5}, r"config.evaluate.features is 'vgg': it should be eff"),
        ({"data.held_out": 1.0}, r"config.data.held_out is 1.0: it should be a share"),
        ({"train.parallel": "threads"}, r"config.train.parallel is 'threads': it should be 'shard_map' or 'pmap'"),
        ({"train.steps_per_dispatch": 3}, r"steps_per_dispatch is 3: it should divide"),
        ({"data.size": 30}, r"config.data.size is 30: "),
        ({"data.width": 50}, r"config.data.size is 28 and config.data.width 50: "),
        ({"data.width": -1}, r"config.data.width is -1: it should be a width in pixels, or 0 for squares"),
        ({"augment.strength": 1.5}, r"config.augment.strength is 1.5: it should be from 0 to 1"),
        ({"augment.adaptive": True}, r"config.augment.adaptive is True: it needs --config.augment.policy=logo"),
        ({"augment.policy": "mirror"}, r"config.augment.policy.*mirror"),
        ({"data.corners": "black"}, r"config.data.corners is 'black'"),
        ({"data.same_batch_for": -1}, r"config.data.same_batch_for is -1: it should be a number of steps, or 0"),
        (
            {"objective.name": "cgan"},
            r"config.objective.name is 'cgan', which needs labels: use --config.data.labels=T",
        ),
        ({"objective.name": "vae"}, r"config.objective.critic_updates is not a value of vae, which takes: beta, devi"),
        ({"data.size": 56}, r"config.data.size is 56, but .* size 28"),
        ({"data.channels": 2}, r"config.data.channels is 2: it should be 3 \(RGB\), 1 \(grey\) or 4 \(RGBA\)"),
        ({"data.dir": "/nowhere"}, r"config.data.dir is /nowhere, which is not a folder"),
        ({"data.source": "cloud"}, r"config.data.source is 'cloud': it should be one of resident, stream"),
        (
            {"model.name": "dcgam"},
            r"config.model.name is 'dcgam': it should be one of dcgan, projected, r3gan, resnet, wgan",
        ),
        ({"optimizer.critic.name": "sgd"}, r"config.optimizer.critic.b1 is not a value of sgd"),
    ],
)
def test_bad_values_are_one_line_with_the_key(shards, tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        loop.train(four(shards, **changes), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_folder_that_is_not_a_run_is_left_alone(shards, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match=r"holds thesis.txt but no run \(no config.json\): choose another"):
        loop.train(four(shards), tmp_path)
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\): choose another"):
        loop.train(four(shards), tmp_path / "thesis.txt" / "run")


def test_a_second_process_is_kept_out(shards, tmp_path):
    another = pytest.raises(UserError, match="another process is training in")
    with locked_folder(tmp_path), another, locked_folder(tmp_path):
        pass


def test_too_little_room_is_said_at_the_start(shards, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(
        UserError, match=r"has 0 MB free, but 4 checkpoints and one in writing take .*--config.report.keep"
    ):
        loop.train(four(shards), tmp_path / "run")


def test_the_first_bad_number_is_named_by_step_player_and_tensor():
    names = "critic/gradient/critic/out/bias", "critic/loss"
    steps = lambda *rows: MetricRows(names, jnp.array(rows))
    accumulator = MetricAccumulator()
    accumulator.add(12, steps((3.0, 1.0), (4.0, 2.0)))
    assert accumulator.fetch() is None
    assert join_gradient_norms(accumulator.mean()) == {"critic/loss": 1.5, "critic/gradient_norm/critic": 3.5}
    accumulator.add(14, steps((1.0, 1.0), (np.inf, 2.0)))
    assert str(accumulator.fetch()) == "step 14: gradient/critic/out/bias of the critic is inf"
    accumulator = MetricAccumulator()
    accumulator.add(1, steps((np.nan, np.nan)))
    assert str(accumulator.fetch()) == "step 1: loss of the critic is nan"


@pytest.mark.slow
def test_divergence_stops_the_run_and_keeps_the_last_good_checkpoint(toy_networks, shards, tmp_path):
    workdir = tmp_path / "run"
    first, longer = (
        on_toy_networks(four(shards, **{"train.steps": steps, "report.checkpoint_every": 1})) for steps in (1, 4)
    )
    for config in (first, longer):
        # A rate that is fine at its first use and infinite at its second.
        config.optimizer.critic = defaults.block(name="adam", learning_rate=1e-4, b1=0.5, b2=0.9, decay=-1.0)
    loop.train(first, workdir)
    longer.report.update(log_every=4, samples_every=4)
    with pytest.raises(UserError, match=r"step [23]: .* of the (critic|generator) is .*, once more: lower config"):
        loop.train(longer, workdir)
    assert [event["action"] for event in summary(workdir)["events"]] == ["roll back", "stop"]
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["1"]


def test_misspelt_keys_fail_before_jax_starts_and_suggest_the_nearest(config_file, tmp_path):
    began = time.monotonic()
    line = failing(f"--config={config_file()}", "--config.train.batchsize=3", f"--workdir={tmp_path / 'run'}")
    assert time.monotonic() - began < 5
    assert "config.train.batchsize" in line and "config.train.batch_size" in line
    assert "config.trian" in failing(f"--config={config_file()}", "--config.trian.steps=3")
    line = failing(f"--config={config_file()}", "--config.train.batch_size=many")
    assert "config.train.batch_size" in line and "many" in line
    assert not (tmp_path / "run").exists()


def test_missing_and_broken_config_files_are_one_line(tmp_path):
    assert "configs/wgan57.py" in failing("--config=configs/wgan57.py")
    assert "--config" in failing()
    assert "worksdir" in failing("--config=configs/wgan56.py", "--worksdir=x")
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from logogan_jax.config import defaults\n\ndef get_config():\n    config = defaults.get_config()\n"
        "    config.train.stepz = 3\n    return config\n"
    )
    assert "stepz" in failing(f"--config={broken}")


@pytest.mark.parametrize(
    "line",
    ["from logogan_jax import defaults", "import logogan_jax.defaults", "from logogan_jax.defaults import block"],
)
def test_a_config_of_an_older_version_says_what_to_import(tmp_path, line):
    (tmp_path / "old.py").write_text(f"{line}\n\ndef get_config():\n    return defaults.get_config()\n")
    said = failing(f"--config={tmp_path / 'old.py'}")
    assert f"--config={tmp_path / 'old.py'}: " in said and "write 'from logogan_jax.config import defaults'" in said


def test_a_config_whose_package_is_missing_names_it(tmp_path):
    (tmp_path / "mine.py").write_text("import no_such_package\n")
    assert failing(f"--config={tmp_path / 'mine.py'}").endswith("mine.py: No module named 'no_such_package'")


@pytest.mark.slow
def test_errors_of_every_door_are_one_line(config_file, call, tmp_path):
    line = failing(f"--config={config_file()}", "--config.data.dir=/nowhere", f"--workdir={tmp_path / 'run'}")
    assert line.startswith("error: config.data.dir is /nowhere, which is not a folder: make it: python -m data_prep")
    with pytest.raises(UserError, match="holds no run"):
        call(sample, f"--workdir={tmp_path / 'none'}", f"--out={tmp_path / 'out'}")
    assert "--out" in failing(f"--workdir={tmp_path / 'none'}", module="logogan_jax.sample")
    prep = lambda *flags: failing(*flags, module="data_prep.write_tfrecords")
    assert "is not a folder" in prep("--path=/nowhere", "--size=28", f"--target_path={tmp_path / 'shards'}")


def small_disk(path, megabytes):
    """A shell prefix that runs a command with a full-sized file system of its own at a path."""
    return ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={megabytes}m tmpfs {path} && exec "$@"', "sh"]


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_line(config_file, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*small_disk(disk, 1), "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a process mount a file system of its own")
    # Room for the checkpoints at the start; the ballast arrives when the run is under way. Where it meets a
    # write, the writer's threads leave traces, each of which ends alike; nothing else may, and our line comes last.
    script = f'(sleep 14; head -c 9000000 /dev/zero > {disk}/ballast 2>/dev/null) & exec "$@"'
    training = command("logogan_jax.main", f"--config={config_file(10**6)}", f"--workdir={disk / 'run'}")
    process = subprocess.run(
        [*small_disk(disk, 8), "sh", "-c", script, "sh", *training, "--config.report.keep=1"],
        env=environment(), cwd=ROOT, text=True, capture_output=True, timeout=240,
    )  # fmt: skip
    assert process.returncode == 2, process.stderr
    assert "error: the disk is full" in process.stderr.splitlines()[-1], process.stderr
    traces = process.stderr.count("Traceback")
    assert traces == process.stderr.count("raise RuntimeError('Event loop is closed')"), process.stderr


def test_no_checkpoint_is_begun_that_the_disk_has_no_room_for(tmp_path, monkeypatch):
    state = {"weights": np.zeros((250, 1000), np.float32)}
    kept = checkpoints.Checkpoints(tmp_path / "checkpoints", keep=2)
    free = lambda left: monkeypatch.setattr(
        checkpoints.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=left)
    )
    free(10**6)
    kept.save(1, state)
    free(10**6 - 1)
    with pytest.raises(OSError, match=r"No space left on device: .*checkpoints") as caught:
        kept.save(2, state)
    assert caught.value.errno == errno.ENOSPC
    kept.close()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1"]


def test_a_full_disk_is_recognised_in_every_dress(capsys):
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(SystemExit) as left, errors.exit_on_error():
            raise OSError(number, "No space left on device", "/disk/run")
        assert left.value.code == 2
        assert capsys.readouterr().err == (
            "error: the disk is full while writing /disk/run: free some space and run the same command again\n"
        )
    with pytest.raises(OSError) as caught, checkpoints._full_disk_named("/disk"):
        raise ValueError("tensorstore: RESOURCE_EXHAUSTED: No space left on device")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(PermissionError), errors.exit_on_error():
        raise PermissionError("other errors keep their traceback")


@pytest.mark.parametrize(("tool", "package", "extra"), [
    ("download_images", "httpx", "prep"), ("wiki_spider", "scrapy", "prep"), ("beam_tfrecords", "apache_beam", "beam"),
])  # fmt: skip
def test_a_tool_whose_package_is_not_installed_names_the_extra(tmp_path, tool, package, extra):
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('no', name={package!r})")
    line = failing("--help", module=f"data_prep.{tool}", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert line == f"error: this tool needs {package}: pip install -e '.[{extra}]'"
