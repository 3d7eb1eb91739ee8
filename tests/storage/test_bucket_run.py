"""Training itself, with its data and its run in a bucket; S3 is moto's."""

import json
import os
import signal
import time

import pytest
from conftest import TOY_MODEL, TOY_TRAIN, digest, finish, four, read_config, start

from logogan_jax import loop, sample
from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.core.storage import commit_markers, filesystem


def until_marked(process, address, after, seconds=120):
    """Wait until a checkpoint after a step is whole in the bucket -> its step."""
    deadline = time.monotonic() + seconds
    while (newest := max(commit_markers.marked_steps(set(filesystem.open_store(address).names())), default=0)) <= after:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    return newest


@pytest.mark.slow
def test_a_run_in_a_bucket_goes_on_wherever_it_is_started(
    toy_networks, bucket, config_file, shards, tmp_path, monkeypatch, capsys, call
):
    for path in shards.iterdir():
        filesystem.open_store(f"{bucket}/shards").put(path.name, path)
    data, address = f"{bucket}/shards", f"{bucket}/runs/one"
    rarely = "config.report.update(log_every=10, samples_every=1000, checkpoint_every=40)"
    written = lambda steps, data: config_file(steps, data, [TOY_MODEL, rarely])

    def train_here(steps, data, workdir):
        loop.train(read_config(written(steps, data)), workdir)

    config = written(10**6, data)
    four_devices = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    home = {"LOGOGAN_CACHE": str(tmp_path / "home"), "XLA_FLAGS": four_devices}
    at_home = lambda: start(config, address, train=TOY_TRAIN, **home)
    first = at_home()
    reached = until_marked(first, address, 0)
    first.kill()
    first.communicate()
    second = at_home()
    until_marked(second, address, reached)
    second.send_signal(signal.SIGTERM)
    said = finish(second, Unfinished.status)
    assert f"Everything is in {address}" in said and "Going on from step" in said
    stopped = json.loads(filesystem.open_store(address).read("summary.json"))
    last = stopped["step"] // 10 * 10 + 20
    monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path / "elsewhere"))
    train_here(last, data, address)
    assert f"Going on from step {stopped['step']}" in capsys.readouterr().err
    train_here(last, shards, tmp_path / "straight")
    found = json.loads(filesystem.open_store(address).read("summary.json"))
    assert found["status"] == "finished" and found["state_sha256"] == digest(tmp_path / "straight")
    steps = [json.loads(line)["step"] for line in filesystem.open_store(address).read("metrics.jsonl").splitlines()]
    assert steps == list(range(10, last + 1, 10))

    monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path / "third"))
    call(sample, f"--workdir={address}", "--num=4", f"--out={tmp_path / 'drawn'}")
    assert list((tmp_path / "drawn").glob("*.png"))


def test_a_bucket_that_is_not_there_is_told_in_one_line(bucket, shards):
    with pytest.raises(UserError, match="there-is-no-such-bucket") as caught:
        loop.train(four(shards), "s3://there-is-no-such-bucket/runs/one")
    assert "\n" not in str(caught.value)
