"""Whatever ends a run, the same command goes on from there to the very same state."""

import re
import signal
import time

import pytest
from conftest import TOY_MODEL, TOY_TRAIN, config_text, digest, finish, four, on_toy_networks, summary
from conftest import start as start_command

from logogan_jax import loop
from logogan_jax.core.errors import Unfinished
from logogan_jax.training.reporting import run_writer
from logogan_jax.training.reporting.run_log import RunLog


def start(config, workdir, *flags):
    return start_command(config, workdir, *flags, train=TOY_TRAIN)


def wait_for_line(workdir, step, process, seconds=180):
    """Return once metrics.jsonl has a line of a step at least this far."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        lines = run_writer.read_lines(workdir / "metrics.jsonl")
        if lines and lines[-1]["step"] >= step:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate())


@pytest.mark.slow
def test_whatever_ends_the_command_it_goes_on_to_the_very_same_state(shards, tmp_path):
    config, workdir = tmp_path / "tiny.py", tmp_path / "run"
    config.write_text(config_text(shards, 240, TOY_MODEL))
    said = finish(start(config, tmp_path / "straight"))
    assert "On this CPU 240 steps should take about" in said and "Finished 240 steps" in said

    process = start(config, workdir)
    wait_for_line(workdir, 15, process)
    process.terminate()
    said = finish(process, Unfinished.status)
    stopped = summary(workdir)
    assert stopped["status"] == "stopped by SIGTERM" and 15 <= stopped["step"] < 240
    assert "Stopped by sigterm" in said and "the same command goes on" in said

    process = start(config, workdir)
    wait_for_line(workdir, stopped["step"] + 25, process)
    process.kill()
    process.communicate()
    half = workdir / "checkpoints" / "999.orbax-checkpoint-tmp"  # as a kill in the middle of a write leaves it
    half.mkdir()

    said = finish(start(config, workdir, "--price=3600", "--max_cost=100_000"))
    reached = int(re.search(r"Going on from step (\d+)", said)[1])
    # Of the checkpoints since the signal, one each 10 steps, the newest may be half-written.
    assert stopped["step"] < reached < 240, "not from a checkpoint that it wrote after the signal"
    assert digest(workdir) == digest(tmp_path / "straight")
    assert summary(workdir)["cost"]["dollars_per_hour"] == 3600
    steps = [line["step"] for line in run_writer.read_lines(workdir / "metrics.jsonl")]
    assert steps == list(range(5, 241, 5))
    assert sorted(int(path.name) for path in (workdir / "checkpoints").iterdir()) == [220, 230, 240]


@pytest.mark.slow
def test_each_signal_saves_and_the_same_call_goes_on_exactly(toy_networks, shards, tmp_path, monkeypatch, capsys):
    changes = {"train.steps": 40, "report.log_every": 5, "report.samples_every": 0, "report.checkpoint_every": 10}
    config = on_toy_networks(four(shards, **changes))
    loop.train(config, tmp_path / "straight")
    capsys.readouterr()
    reached, write = 0, RunLog.write

    def write_and_signal(log, step, values):
        write(log, step, values)
        if step == reached // 5 * 5 + 10:
            signal.raise_signal(number)

    monkeypatch.setattr(RunLog, "write", write_and_signal)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        assert not loop.train(config, tmp_path / "run"), "the command ends with status 75"
        said, stopped = "".join(capsys.readouterr()), summary(tmp_path / "run")
        assert reached == 0 or f"Going on from step {reached}" in said
        assert stopped["status"] == f"stopped by {number.name}" and reached + 5 < stopped["step"] < 40
        assert f"Stopped by {number.name.lower()}" in said and "the same command goes on" in said
        reached = stopped["step"]
    monkeypatch.setattr(RunLog, "write", write)
    loop.train(config, tmp_path / "run")
    assert f"Going on from step {reached}" in "".join(capsys.readouterr())
    assert summary(tmp_path / "run")["devices"] == 4
    assert digest(tmp_path / "run") == digest(tmp_path / "straight")
    steps = [line["step"] for line in run_writer.read_lines(tmp_path / "run" / "metrics.jsonl")]
    assert steps == list(range(5, 41, 5))
