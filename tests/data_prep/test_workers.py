"""Processes that read pictures: as many as the machine allows, started from any script; its lacks are no picture's."""

import json
import os
import resource
import subprocess
import sys

import pytest
from conftest import drawing, environment
from PIL import Image
from pool_functions import behave

from data_prep import pool, write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item
from logogan_jax.core import machine
from logogan_jax.core.errors import UserError

SCRIPT = """
import sys
from data_prep import {tool}
{tool}.main(sys.argv[1:])
print("the script goes on")
"""


@pytest.fixture(scope="module")
def logos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logos")
    for number in range(3):
        drawing(number).save(folder / f"{number}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "how"), [("write_tfrecords", "file"), ("resize_center", "stdin")])
def test_a_script_without_a_main_guard_calls_a_tool(logos, tmp_path, tool, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tool=tool))
    flags = [f"--path={logos}", f"--target_path={tmp_path / 'out'}", "--size=28"]
    done = subprocess.run(
        [sys.executable, script if how == "file" else "-", *flags], cwd=tmp_path, env=environment(), text=True,
        input=script.read_text(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 ") and done.stdout.count("the script goes on") == 1
    assert (tmp_path / "out").is_dir()


def limits(monkeypatch, tmp_path, membership, settings):
    """Let this process be in control groups with settings {path: text}."""
    for name, text in settings.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(machine.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096}.get(name, 256 << 18))


@pytest.mark.parametrize(
    ("membership", "settings", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/pods/one\n", {"pods/cpu.max": "300000 100000", "pods/one/cpu.max": "max 100000"}, 3),
        ("0::/elsewhere\n", {"cpu.max": "50000 100000"}, 1),
        ("4:cpu,cpuacct:/docker/one\n", {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("1:cpu:/\n0::/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ("0::/\n", {"memory.max": "1073741824"}, 4),
        ("2:memory:/\n", {"memory/memory.limit_in_bytes": "536870912"}, 2),
        ("2:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 64),
        ("0::/\n", {"cpu.max": "", "memory.max": "max"}, 64),
    ],
)
def test_a_containers_limits_decide_the_number_of_processes(monkeypatch, tmp_path, membership, settings, cores):
    limits(monkeypatch, tmp_path, membership, settings)
    assert pool.default_workers() == cores


def test_a_process_that_is_bound_to_one_core_starts_one_process():
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert machine.available_cores() == pool.default_workers() == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_a_worker_has_one_thread_and_takes_its_memory_after_its_libraries(monkeypatch):
    monkeypatch.setattr(pool, "MEMORY", 64 << 20)
    with pool.map_ordered(behave, ["threads", "limit", "size"], workers=1) as results:
        threads, limit, size = results
    assert threads == 1
    assert 0 < limit - size <= 64 << 20 and resource.getrlimit(resource.RLIMIT_AS)[0] != limit


@pytest.fixture
def large(tmp_path):
    """An Item of a small file with many pixels."""
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    return Item("large.png", 0, str(tmp_path / "large.png"))


def write(items, target):
    return write_tfrecords.write(
        items, target, spec=ImageSpec(28), name="a", labels=[], description="", workers=1, shards=4
    )


def test_a_picture_that_takes_too_much_memory_is_rejected_where_there_is_enough(monkeypatch, tmp_path, logos, large):
    monkeypatch.setattr(pool, "MEMORY", 64 << 20)
    monkeypatch.setattr(machine, "available_memory", lambda: 1 << 40)
    items = [Item(f"{number}.png", 0, str(logos / f"{number}.png")) for number in range(3)]
    assert write([*items, large], tmp_path / "out").rejected == 1
    assert "needed more than" in json.loads((tmp_path / "out" / "rejects.jsonl").read_text())["reason"]


def test_a_machine_without_memory_ends_the_run_and_blames_no_picture(monkeypatch, tmp_path, logos, large):
    monkeypatch.setattr(pool, "MEMORY", 64 << 20)
    monkeypatch.setattr(machine, "address_space_limit", lambda: 32 << 20)
    items = [Item(f"{number}.png", 0, str(logos / f"{number}.png")) for number in range(3)]
    with pytest.raises(UserError, match=r"memory of this machine is not enough for 'large.png'.*--workers"):
        write([*items, large], tmp_path / "out")


def test_a_worker_that_the_system_kills_ends_the_run_and_blames_no_picture():
    with (
        pytest.raises(UserError, match="memory of this machine is not enough for 'killed'"),
        pool.map_ordered(behave, ["a", "killed"], workers=1) as results,
    ):
        list(results)


@pytest.mark.parametrize("fault", ["raise MemoryError", "import os; os.kill(os.getpid(), 9)", "import absent"])
def test_processes_that_cannot_start_are_one_line(monkeypatch, fault):
    monkeypatch.setattr(pool.worker, "command_line", lambda _: [sys.executable, "-S", "-c", fault])
    with (
        pytest.raises(UserError, match=r"could not start .*allow more, or use fewer processes \(--workers\)"),
        pool.map_ordered(behave, ["a"], workers=1) as results,
    ):
        list(results)
