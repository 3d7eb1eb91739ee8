"""A day with a device: the most valuable first, each part within its time, and what is done stays."""

import json
import subprocess
import sys
import time
import types

import fork_server
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import device_day

FORKING = types.SimpleNamespace(**{**vars(subprocess), "Popen": fork_server.start})


@pytest.fixture
def day(tmp_path):
    return device_day.Day(tmp_path, time.monotonic() + 60, tiny=True)


def lines(folder):
    return [json.loads(line) for line in (folder / "day.jsonl").read_text().splitlines()]


def test_a_part_that_fails_leaves_what_it_found_and_the_next_goes_on(day, monkeypatch):
    def fails(day):
        yield {"first": 1}
        device_day.run(day, 20, "json.tool", "no such file")

    monkeypatch.setattr(device_day, "PARTS", {"fails": fails, "works": lambda day: iter([{"second": 2}])})
    assert [device_day.do(day, name) for name in ("fails", "works")] == [False, True]
    first, failed, second, done = lines(day.out)
    assert first == {"part": "fails", "first": 1} and "exit status" in failed["failed"]
    assert second == {"part": "works", "second": 2} and done["done"]
    assert "no such file" in (day.out / "log.txt").read_text()


def test_a_part_that_takes_too_long_is_stopped(day, monkeypatch):
    monkeypatch.setattr(
        device_day, "PARTS", {"slow": lambda day: device_day.run(day, 1 / device_day.SHARED, "http.server", "0")}
    )
    began = time.monotonic()
    assert not device_day.do(day, "slow")
    assert time.monotonic() - began < 20
    assert "http.server was stopped after 1 s" in lines(day.out)[0]["failed"]


@pytest.mark.slow
def test_the_day_is_tried_on_a_cpu(shards, tmp_path, monkeypatch):
    """Its cheapest part, by the command; the others are the same commands with other flags."""
    out = tmp_path / "day"
    monkeypatch.setattr(sys, "argv", ["device_day.py", f"--out={out}", "--tiny", "--only=resume", "--minutes=20"])
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES")
    monkeypatch.setattr(device_day, "subprocess", FORKING)
    monkeypatch.setattr(device_day, "TINY", (*device_day.TINY, f"--config.data.dir={shards}"))
    with pytest.raises(SystemExit) as end:
        device_day.main()
    assert end.value.code == 0, (out / "log.txt").read_text()
    machine, found, end = lines(out)
    assert machine["machine"]["cores"] and end["done"]
    assert found["exact"] and len(set(found["state_sha256"].values())) == 1
