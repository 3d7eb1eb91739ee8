"""Training itself, with its data and its run in a bucket; S3 is moto's."""

import json
import signal
import subprocess
import time

import pytest
from conftest import ROOT, command, digest, environment, failing, finish, start

from logogan_jax.core.errors import Unfinished
from logogan_jax.core.storage import commit_markers, filesystem


def until_marked(process, address, after, seconds=120):
    """Wait until a checkpoint after a step is whole in the bucket -> its step."""
    deadline = time.monotonic() + seconds
    while (newest := max(commit_markers.marked_steps(set(filesystem.open_store(address).names())), default=0)) <= after:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    return newest


@pytest.mark.slow
def test_a_run_in_a_bucket_goes_on_wherever_it_is_started(bucket, config_file, shards, tmp_path):
    for path in shards.iterdir():
        filesystem.open_store(f"{bucket}/shards").put(path.name, path)
    data, address = f"{bucket}/shards", f"{bucket}/runs/one"
    config = config_file(10**6, data=data)
    rarely = [f"--config.report.{what}_every={n}" for what, n in (("log", 10), ("samples", 800), ("checkpoint", 40))]
    at_home = lambda: start(config, address, *rarely, LOGOGAN_CACHE=str(tmp_path / "home"))
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
    said = finish(start(config_file(last, data=data), address, *rarely, LOGOGAN_CACHE=str(tmp_path / "elsewhere")))
    assert f"Going on from step {stopped['step']}" in said
    finish(start(config_file(last), tmp_path / "straight", *rarely))
    found = json.loads(filesystem.open_store(address).read("summary.json"))
    assert found["status"] == "finished" and found["state_sha256"] == digest(tmp_path / "straight")
    steps = [json.loads(line)["step"] for line in filesystem.open_store(address).read("metrics.jsonl").splitlines()]
    assert steps == list(range(10, last + 1, 10))

    words = command("logogan_jax.sample", f"--workdir={address}", "--num=4", f"--out={tmp_path / 'drawn'}")
    third = environment(LOGOGAN_CACHE=str(tmp_path / "third"))
    subprocess.run(words, env=third, cwd=ROOT, check=True, capture_output=True)
    assert list((tmp_path / "drawn").glob("*.png"))


def test_a_bucket_that_is_not_there_is_told_in_one_line(bucket, config_file):
    missing = "s3://there-is-no-such-bucket/runs/one"
    assert missing.split("/")[2] in failing(f"--config={config_file(4)}", f"--workdir={missing}")
