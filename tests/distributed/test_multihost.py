"""Several processes train as one, name the one that is lost, stop together, and go on as fewer or more."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import fork_server
import jax
import numpy as np
import pytest
from conftest import (
    ROOT,
    TOY_MODEL,
    TOY_TRAIN,
    config_text,
    devices,
    environment,
    failing,
    finish,
    four,
    on_toy_networks,
    read_config,
    sgd,
    start,
    summary,
)
from toy_networks import toy_features

from logogan_jax import loop
from logogan_jax.config import restore
from logogan_jax.core import files
from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.distributed import multihost, rendezvous
from logogan_jax.metrics import features
from logogan_jax.training import checkpoints, train_state
from logogan_jax.training.reporting import cost, messages


@pytest.fixture(scope="module")
def descent(shards, tmp_path_factory, toy_networks):
    """A function (steps, looks) -> path of a config of gradient descent with momentum, of which devices hold shares.

    It hides no factor as Adam would. Its toy networks are compiled in a second, which each of several processes but the
    first does anew.
    """
    folder = tmp_path_factory.mktemp("descent")

    def write(steps, looks=0):
        path = folder / f"descent{steps}-{looks}.py"
        path.write_text(config_text(
            shards, steps, TOY_MODEL,
            "for role in config.optimizer:",
            '    config.optimizer[role] = defaults.block(name="momentum", learning_rate=3e-4)',
            f"config.data.held_out, config.evaluate.every_images, config.evaluate.samples = 0.5, {looks}, 64",
        ))  # fmt: skip
        return path

    return write


def train_alone(path, workdir):
    """Train a config file in this process, on one device."""
    with devices(1):
        return loop.train(read_config(path), workdir)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def together(config, workdir, count, *flags):
    """The training command in so many processes that are one run."""
    at = f"--coordinator=127.0.0.1:{free_port()}"
    own = lambda number: (at, f"--num_processes={count}", f"--process_id={number}")
    return [start(config, workdir, *own(number), *flags, train=TOY_TRAIN) for number in range(count)]


def weights(workdir, step="newest"):
    opened = restore.restore(workdir, step)
    assert opened.step == summary(workdir)["step"]
    return {
        name: np.asarray(leaf)
        for name, leaf in train_state.flatten_with_names((opened.state.params, opened.state.model_state)).items()
    }


def strayed(workdir, other, steps):
    """How far two runs have come apart, as a share of how far the second has come.

    A number that rounding moves over the kink of a ReLU moves one pixel's gradient: of the whole, that is little.
    """
    here, there = weights(workdir), weights(other)
    first = restore.restore(other, "newest").model.init_state()
    begun = {
        name: np.asarray(leaf)
        for name, leaf in train_state.flatten_with_names((first.params, first.model_state)).items()
    }
    far = lambda a, b: np.sqrt(sum(np.sum((a[name] - b[name]) ** 2.0) for name in b))
    assert summary(workdir)["step"] == summary(other)["step"] == steps
    return far(here, there) / far(begun, there)


def until_there(process, path, seconds=120):
    """Wait until a run has made a file or folder."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)


def by_slurm(config, workdir, count, *flags):
    """The training command in so many processes, of which Slurm tells each what srun sets."""
    # JAX takes a port that follows from the job's number.
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count)}
    own = lambda number: {**job, "SLURM_PROCID": str(number), "SLURM_LOCALID": "0"}
    return [
        start(config, workdir, "--coordinator=auto", *flags, train=TOY_TRAIN, **own(number)) for number in range(count)
    ]


# Each source and each way to come together is seen once, and evaluations where there are two processes.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "source", "looks", "begin"), [(2, "stream", 48, by_slurm), (4, "resident", 0, together)]
)
def test_processes_train_as_one_and_go_on_as_one(descent, tmp_path, monkeypatch, count, source, looks, begin):
    monkeypatch.setattr(features, "load_network", lambda spec, key="": toy_features())
    config, alone, several = descent(12, looks), tmp_path / "alone", tmp_path / "several"
    train_alone(config, alone)
    said = [finish(process) for process in begin(config, several, count, f"--config.data.source={source}")]
    assert f"{count} x cpu, {count} processes" in said[0] and "Finished" in said[0]
    assert not any("Finished" in other or "step" in other for other in said[1:]), "one host writes the log"
    assert strayed(several, alone, 12) < 1e-3
    assert summary(several)["processes"] == count
    if looks:
        kid = [summary(workdir)["best"]["kid_toy"]["value"] for workdir in (several, alone)]
        assert kid[0] == pytest.approx(kid[1], rel=0.01)
    for workdir in (several, alone):
        train_alone(descent(15), workdir)
    assert strayed(several, alone, 15) < 1e-3


@pytest.mark.slow
def test_every_record_of_an_epoch_is_read_by_exactly_one_process(shards):
    script = ROOT / "tests" / "distributed" / "record_reader.py"
    words = [sys.executable, str(script), f"127.0.0.1:{free_port()}"]
    workers = [
        fork_server.start(
            [*words, str(number), str(shards)], env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}"), cwd=ROOT,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in range(2)
    ]  # fmt: skip
    told = [json.loads(finish(worker).splitlines()[-1 if number else 0]) for number, worker in enumerate(workers)]
    assert told[0]["images"] == 50
    asked = [[position for step in each["asked"] for position in step] for each in told]
    # Three steps of two draws of eight are 48 of the 50 images, shared in halves.
    assert len(asked[0]) == len(asked[1]) == 24
    assert len({*asked[0], *asked[1]}) == 48
    for each, positions in zip(told, asked, strict=True):
        assert np.array(each["rows"]).ravel().tolist() == positions


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_a_lost_process_is_named_within_a_minute_and_the_others_go_on(descent, tmp_path, lost, capsys):
    config, workdir = descent(100_000), tmp_path / "run"
    processes = together(config, workdir, 2)
    until_there(processes[0], workdir / "checkpoints" / "10")
    processes[lost].kill()
    began = time.monotonic()
    said = finish(processes[1 - lost], Unfinished.status)
    assert time.monotonic() - began < 60
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    # The network may notice it first or JAX, which does not say how many there are.
    named = "process 1( of 2)? no longer answers" if lost else "process 0"
    assert len(errors) == 1 and re.search(named, errors[0]) and "start the same command again" in errors[0], said
    finish(processes[lost], -signal.SIGKILL)
    reached = max(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())
    train_alone(descent(reached + 5), workdir)
    assert f"Going on from step {reached}" in capsys.readouterr().err


def beat_together(count):
    """Processes that give signs of life, and the number by which to send a signal to each."""
    coordinator = f"127.0.0.1:{free_port()}"
    script = [sys.executable, str(ROOT / "tests" / "distributed" / "beating_process.py"), coordinator, str(count)]
    processes = [
        fork_server.start(
            [*script, str(number)], env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(count)
    ]  # fmt: skip
    return processes, [int(process.stdout.readline()) for process in processes]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("silent", "named"), [((2,), "process 2 no"), ((1, 2), "processes 1, 2 no"), ((0,), "process 0, the coordinator,")]
)
def test_processes_that_fall_silent_are_named_by_each_of_the_others(silent, named):
    """A host that hangs, or whose network is gone, closes no connection: only its signs of life stop."""
    processes, children = beat_together(3)
    for number in silent:
        os.kill(children[number], signal.SIGSTOP)
    try:
        for number in {0, 1, 2} - {*silent}:
            said = finish(processes[number], Unfinished.status)
            (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
            assert line.startswith(f"error: {named}") and "start the same command again" in line, said
            assert "JAX distributed service detected fatal errors" in said, "JAX's own words are passed on"
    finally:
        for number in silent:
            os.kill(children[number], signal.SIGKILL)
            processes[number].communicate()


@pytest.mark.parametrize(
    ("message", "silent"),
    [
        ("tasks are unhealthy (stopped sending heartbeats):\n1\nThe tasks have crashed.", [1]),
        ("tasks are unhealthy (stopped sending heartbeats):\n10\n2\nThe tasks have crashed. 3 tasks left.", [2, 10]),
        ("UNAVAILABLE: Task 12 heartbeat timeout. This indicates that. Barrier Id: x::0, Task: 12", [12]),
        ("Gloo all-reduce failed: [127.0.0.1]:674: Connection reset by peer", []),
    ],
)
def test_silent_processes_are_read_from_what_jax_says(message, silent):
    assert rendezvous.silent_processes(message) == silent


@pytest.mark.slow
def test_one_sigterm_stops_all_processes_at_one_step(descent, tmp_path):
    config, workdir = descent(100_000), tmp_path / "run"
    processes = together(config, workdir, 2)
    until_there(processes[0], workdir / "checkpoints" / "10")
    processes[1].send_signal(signal.SIGTERM)
    said = [finish(process, Unfinished.status) for process in processes]
    stopped = summary(workdir)
    assert stopped["status"] == "stopped by SIGTERM" and stopped["step"] > 10 and "the same command goes on" in said[0]
    assert restore.restore(workdir, "newest").step == stopped["step"]


def test_auto_where_there_is_no_cluster_is_one_line():
    assert "--coordinator=auto finds no Slurm job, TPU pod or Open MPI here" in failing(
        "--config=configs/quickstart.py", "--coordinator=auto"
    )


@pytest.mark.slow
def test_a_mistake_is_told_once_by_every_process(descent, tmp_path):
    processes = together(descent(4), tmp_path / "run", 2, "--config.train.batch_size=7")
    for process in processes:
        said = finish(process, 2)
        assert [line for line in said.splitlines() if line.startswith("error: ")] == [
            "error: config.train.batch_size is 7, which is not divisible by 2 devices: use "
            "--config.train.batch_size=6, or fewer devices"
        ]


@pytest.mark.slow
def test_any_number_of_devices_goes_on_where_another_stopped(toy_networks, shards, tmp_path, capsys):
    elastic, alone = tmp_path / "elastic", tmp_path / "alone"

    def train_to(steps, count, workdir):
        # A batch of four: one image on each of four devices.
        changes = {"train.steps": steps, "train.batch_size": 4, "data.held_out": 0.0, "report.log_every": 5}
        changes |= {"report.samples_every": 0, "report.checkpoint_every": 5}
        with devices(count):
            loop.train(sgd(on_toy_networks(four(shards, **changes), "plain"), name="momentum"), workdir)
        assert f"on {count} x cpu" in capsys.readouterr().err

    for steps, count in ((5, 4), (10, 1), (15, 4)):
        train_to(steps, count, elastic)
    train_to(15, 1, alone)
    assert strayed(elastic, alone, 15) < 1e-3
    assert re.findall(r'"step": (\d+), "sec', (elastic / "metrics.jsonl").read_text()) == ["5", "10", "15"]


# ── coming together ─────────────────────────────────────────────────────────────────────────


def called(monkeypatch, coming, count, wait=1.5):
    """What the roll call says to each process that comes: {number: None or the error}."""
    monkeypatch.setattr(rendezvous, "TIMEOUT", wait)
    at, said = f"127.0.0.1:{free_port()}", {}

    def come(number):
        try:
            said[number] = rendezvous.wait_for_all(at, count, number)
        except UserError as error:
            said[number] = error

    threads = [threading.Thread(target=come, args=(number,)) for number in coming]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return said


def test_a_roll_call_ends_when_all_have_come(monkeypatch):
    assert called(monkeypatch, (2, 0, 1), 3, wait=20) == {0: None, 1: None, 2: None}


def test_a_roll_call_names_the_missing_to_all_that_came(monkeypatch):
    said = called(monkeypatch, (0, 2), 4)
    assert {number: error.status for number, error in said.items()} == {0: 75, 2: 75}
    for error in said.values():
        assert str(error).startswith("processes 1, 3 of 4 did not connect to 127.0.0.1:")


def test_a_roll_call_without_process_0_says_so(monkeypatch):
    assert "process 0 did not start at 127.0.0.1:" in str(called(monkeypatch, (1,), 2)[1])


def test_strangers_do_not_answer_a_roll_call(monkeypatch):
    monkeypatch.setattr(rendezvous, "TIMEOUT", 2.0)
    port, said = free_port(), []

    def listen():
        with pytest.raises(Unfinished, match="process 1 of 2"):
            rendezvous.wait_for_all(f"127.0.0.1:{port}", 2, 0)
        said.append(True)

    thread = threading.Thread(target=listen)
    thread.start()
    for text in (b"GET / HTTP/1.1\r\n\r\n", b"[1]", b'{"process": 7}', b""):
        time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
            stranger.sendall(text)
    thread.join(10)
    assert said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--num_processes=2"], "--num_processes needs --coordinator=HOST:PORT"),
        (["--coordinator=auto", "--process_id=1"], "--process_id needs --coordinator=HOST:PORT"),
        (["--coordinator=a:1", "--num_processes=2"], "--process_id is missing"),
        (["--max_cost=5"], "--max_cost=5 needs the price of the machine: add --price="),
        (["--price=0"], "--price=0: it should be dollars per hour"),
    ],
)
def test_flags_that_do_not_fit_are_told_before_jax_starts(flags, said):
    assert said in failing("--config=configs/quickstart.py", *flags, JAX_PLATFORMS="nonsense")


@pytest.mark.slow
def test_a_process_number_has_to_be_one_of_them():
    flags = ("--coordinator=127.0.0.1:1", "--num_processes=2", "--process_id=2")
    assert "--process_id=2: with --num_processes=2 it should be from 0 to 1" in failing(
        "--config=configs/quickstart.py", *flags
    )


# ── what the clock says ─────────────────────────────────────────────────────────────────────


def on_and_on(shards, **changes):
    return on_toy_networks(four(shards, **{"report.log_every": 5, "report.checkpoint_every": 10, **changes}))


@pytest.mark.slow
def test_a_run_stops_when_its_money_is_spent_and_tells_what_it_cost(
    toy_networks, shards, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(cost, "PROCESS_START", time.perf_counter())
    config, run = on_and_on(shards, **{"train.steps": 10**6, "report.samples_every": 0}), tmp_path / "run"
    ten_a_second = cost.Budget(price=36_000, max_cost=40)
    assert loop.train(config, run, ten_a_second), "the command ends with status 0"
    found, said = summary(run), capsys.readouterr().out
    assert found["status"] == "stopped by --max_cost=40"
    assert found["cost"]["dollars_per_hour"] == 36_000 and found["cost"]["dollars"] >= 40
    assert restore.restore(run, "newest").step == found["step"]
    assert f"It cost ${found['cost']['dollars']:,.2f}." in said and "a higher --max_cost goes on from there" in said
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    costs = [line["dollars"] for line in lines if "dollars" in line]
    assert costs == sorted(costs) and all(cost < 40 for cost in costs[:-1])
    # The budget may run out between two lines: without the cost of the last steps there would be money left.
    kept = [files.to_json(line, indent=None) for line in lines if line.get("dollars", 0) < 40]
    (run / "metrics.jsonl").write_text("".join(kept))
    with pytest.raises(UserError, match=r"--max_cost=40: the run in .*run has cost \$"):
        loop.train(config, run, ten_a_second)


def test_the_progress_line_tells_what_a_run_has_cost_and_will(monkeypatch):
    monkeypatch.setattr(cost, "PROCESS_START", time.perf_counter())
    line = messages.progress({"critic/loss": 1.0}, 100.0, 3600.0, cost.Budget(price=2.5, spent_before=4.0))
    assert re.fullmatch(r"100 images/s, 1.0 hours left, \$4\.00 of \$6\.50 spent, critic 1.000", line)
    assert "$" not in messages.progress({}, 100.0, 3600.0, cost.Budget())


def test_a_budget_counts_what_earlier_processes_spent():
    budget = cost.Budget(price=3600.0, max_cost=5.0, spent_before=4.0)
    assert budget.spent() > 4 and budget.total(10) == pytest.approx(budget.spent() + 10, abs=0.1)
    assert cost.Budget(price=3600.0, max_cost=5.0, spent_before=6.0).exhausted()
    assert not cost.Budget(price=3600.0, spent_before=6.0).exhausted()


def test_a_machine_of_the_table_has_its_price(tmp_path, monkeypatch):
    table = tmp_path / "prices.csv"
    table.write_text("machine,dollars_per_hour,spot_dollars_per_hour\nlarge,12.5,4.5\nsmall,0.5,\n")
    monkeypatch.setattr(cost, "TABLE", table)
    assert cost.parse_budget("large", None) == cost.Budget(12.5)
    assert cost.parse_budget("large:spot", 3.0) == cost.Budget(4.5, 3.0)
    with pytest.raises(UserError, match="no spot price"):
        cost.parse_budget("small:spot", None)
    with pytest.raises(UserError, match="--price=huge: it should be dollars per hour, or one of large, small"):
        cost.parse_budget("huge", None)


@pytest.mark.slow
def test_an_overdue_checkpoint_is_written_between_the_regular_ones(toy_networks, shards, tmp_path):
    changes = {"train.steps": 15, "report.checkpoint_minutes": 0.00001, "report.keep": 3}
    loop.train(on_and_on(shards, **changes), tmp_path / "run")
    # 5 and 15 are due by the clock alone: one of the clock is kept until there is a newer one.
    with_clock = restore.Checkpoints(tmp_path / "run" / "checkpoints", 3, read_only=True)
    assert with_clock.steps() == [10, 15]
    with_clock.close()


def test_irregular_checkpoints_go_when_there_is_a_newer_one(tmp_path):
    import jax.numpy as jnp

    kept = checkpoints.Checkpoints(tmp_path / "checkpoints", 2, every=10)
    found = []
    for step in (5, 10, 13, 17, 20, 30, 40):
        kept.save(step, {"x": jnp.zeros(3)}, best=(13,))
        kept.wait()
        found.append(kept.steps())
    kept.close()
    assert found == [[5], [10], [10, 13], [10, 13, 17], [10, 13, 20], [13, 20, 30], [13, 30, 40]]


@pytest.mark.parametrize(("here", "named"), [(0, "another process"), (1, "process 0")])
def test_who_is_lost_is_never_the_process_that_says_so(monkeypatch, here, named):
    """Where the library lists nobody, as when the lost one was the only other."""

    def lost(key, timeout_ms):
        raise RuntimeError("DEADLINE_EXCEEDED: Barrier timed out.")

    monkeypatch.setattr(jax, "process_index", lambda: here)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr("orbax.checkpoint.multihost.get_barrier_sync_fn", lambda: lost)
    with (
        pytest.raises(Unfinished, match=f"^{named} of 2 no longer answers .*Connection reset by peer"),
        multihost.name_lost_processes(),
    ):
        raise RuntimeError("Gloo all-reduce failed: Connection reset by peer")
