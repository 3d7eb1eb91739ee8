"""Whatever ends a run, the same command goes on from there to the very same state."""

import os
import signal
import time

import pytest
from conftest import CONFIG, digest, finish, start, summary

from logogan_jax.core.errors import Unfinished
from logogan_jax.training.reporting import run_writer


def wait_for_line(workdir, step, process, seconds=180):
    """Return once metrics.jsonl has a line of a step at least this far."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        lines = run_writer.read_lines(workdir / "metrics.jsonl")
        if lines and lines[-1]["step"] >= step:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate())


@pytest.fixture(scope="module")
def reference(shards, tmp_path_factory):
    """(config, digest) of 160 steps that nobody disturbed, by command."""
    folder = tmp_path_factory.mktemp("reference")
    config = folder / "tiny.py"
    config.write_text(CONFIG.format(data=str(shards), steps=160))
    said = finish(start(config, folder / "run"))
    assert "On this CPU 160 steps should take about" in said and "Finished 160 steps" in said
    return config, digest(folder / "run")


@pytest.mark.slow
def test_each_signal_saves_and_the_same_command_goes_on_exactly(reference, tmp_path):
    config, expected = reference
    reached = 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process = start(config, tmp_path)
        wait_for_line(tmp_path, reached + 15, process)
        process.send_signal(number)
        said = finish(process, Unfinished.status)
        assert reached == 0 or f"Going on from step {reached}" in said
        stopped = summary(tmp_path)
        assert stopped["status"] == f"stopped by {number.name}" and reached + 15 <= stopped["step"] < 160
        assert f"Stopped by {number.name.lower()}" in said and "the same command goes on" in said
        reached = stopped["step"]
    assert f"Going on from step {reached}" in finish(start(config, tmp_path))
    assert digest(tmp_path) == expected
    steps = [line["step"] for line in run_writer.read_lines(tmp_path / "metrics.jsonl")]
    assert steps == list(range(5, 161, 5))


@pytest.mark.slow
def test_a_signal_on_four_simulated_devices(shards, tmp_path):
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG.format(data=str(shards), steps=60))
    four = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"}
    finish(start(config, tmp_path / "straight", **four))
    process = start(config, tmp_path / "stopped", **four)
    wait_for_line(tmp_path / "stopped", 15, process)
    process.send_signal(signal.SIGTERM)
    finish(process, Unfinished.status)
    assert summary(tmp_path / "stopped")["step"] < 60
    finish(start(config, tmp_path / "stopped", **four))
    assert summary(tmp_path / "stopped")["devices"] == 4
    assert digest(tmp_path / "stopped") == digest(tmp_path / "straight")


@pytest.mark.slow
def test_kill_nine_goes_on_exactly_from_the_last_checkpoint(reference, tmp_path):
    config, expected = reference
    for step in (25, 90):
        process = start(config, tmp_path)
        wait_for_line(tmp_path, step, process)
        process.kill()
        process.communicate()
    half = tmp_path / "checkpoints" / "999.orbax-checkpoint-tmp"  # as a kill in the middle of a write leaves it
    half.mkdir()
    finish(start(config, tmp_path))
    assert digest(tmp_path) == expected
    steps = [line["step"] for line in run_writer.read_lines(tmp_path / "metrics.jsonl")]
    assert steps == list(range(5, 161, 5))
    assert sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir()) == [140, 150, 160]
