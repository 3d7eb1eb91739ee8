"""The tuning command: it goes on where it was stopped, shares a study, and its trials are runs of training."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import fork_server
import pytest
from balanced import Balanced
from conftest import ROOT, environment, failing
from studies import BASE, CONFIG, EVALUATIONS, HERE, RANGES, is_alive, starts, wait_until

from logogan_jax.core import locks
from logogan_jax.tune import search, study


@pytest.fixture
def begin(tmp_path):
    """A function (*flags, **environment) -> the tuning command in a process of its own."""
    started = []

    def start(*flags, **extra):
        call = [sys.executable, str(HERE / "tune_fake.py"), f"--config={CONFIG}",
                f"--workdir={tmp_path / 'study'}", *flags]  # fmt: skip
        started.append(fork_server.start(call, env=environment(JAX_PLATFORMS="cpu", **extra), cwd=ROOT, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE))  # fmt: skip
        return started[-1]

    start.folder = tmp_path / "study"
    yield start
    for process in started:
        process.kill()


def ended(folder):
    return sum((run / "summary.json").exists() for run in folder.glob("trials/*"))


def finish(process, status=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, (out, err)
    return out, err


def journal(folder):
    return study.Study(folder, search.Plan("c.py", BASE, {}, RANGES)).trials()


@pytest.mark.slow
def test_after_kill_9_the_same_command_goes_on_to_exactly_as_many_trials(begin):
    process = begin("--trials=8", "--jobs=2", FAKE_PAUSE="0.3")
    wait_until(lambda: ended(begin.folder) >= 3)
    process.kill()
    process.wait()
    for number in range(8):  # a trial belongs to its run as long as that lives
        lock = locks.try_lock(begin.folder / "locks" / f"{number:04d}")
        assert lock is None or not any(is_alive(pid) for pid, *_ in starts(begin.folder, number))
        if lock:
            lock.close()
    begun = [pid for number in range(8) for pid, *_ in starts(begin.folder, number)]
    wait_until(lambda: not any(is_alive(pid) for pid in begun), 10)  # the runs do not outlive their study
    before = {trial.number: trial for trial in journal(begin.folder)}
    assert any(trial.state == "running" for trial in before.values())
    out, _ = finish(begin("--trials=8", "--jobs=2"))
    trials = journal(begin.folder)
    assert [trial.number for trial in trials] == list(range(8)) and len(list(begin.folder.glob("trials/*"))) == 8
    assert all(trial.state in ("finished", "pruned") for trial in trials)
    for trial in trials:
        runs = starts(begin.folder, trial.number)
        assert all(arguments == runs[0][1] for _, arguments, _ in runs)
        was = before.get(trial.number)
        assert len(runs) == (2 if was and was.state == "running" and len(runs) == 2 else 1)
        assert not was or was.params == trial.params
        assert len(trial.curve) == EVALUATIONS or trial.state == "pruned"
    assert out.startswith("Best of 8: trial ") and out.count("\n") == 1
    Balanced((begin.folder / "report.html").read_text())
    assert finish(begin("--trials=8"))[0] == out  # and then there is nothing left to do
    assert sum(len(starts(begin.folder, number)) for number in range(8)) <= 8 + 2


@pytest.mark.slow
def test_two_commands_share_a_study(begin):
    both = [begin("--trials=8", FAKE_PAUSE="0.2") for _ in range(2)]
    said = [finish(process) for process in both]
    trials = journal(begin.folder)
    assert len(trials) == 8 and all(len(starts(begin.folder, trial.number)) == 1 for trial in trials)
    assert all(out.startswith("Best of 8: trial ") for out, _ in said)
    assert sum(err.count("\nTrial ") for _, err in said) == 8 and all("\nTrial " in err for _, err in said)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_lets_the_run_save_and_the_same_command_goes_on(begin, number, status):
    process = begin("--trials=3", FAKE_PAUSE="0.5")
    wait_until(lambda: (begin.folder / "trials" / "0001" / "metrics.jsonl").exists())
    process.send_signal(number)
    _, err = finish(process, status)
    assert err.strip().splitlines()[-1] == "stopped: the same command goes on where this one was"
    assert "Stopping: 1 run saves first." in err and "Traceback" not in err
    assert not is_alive(starts(begin.folder, 1)[0][0])
    assert json.loads((begin.folder / "trials/0001/summary.json").read_text())["status"] == "stopped by SIGTERM"
    assert [trial.state for trial in journal(begin.folder)] == ["finished", "running"]
    finish(begin("--trials=3"))
    assert [len(starts(begin.folder, trial)) for trial in range(3)] == [1, 2, 1]


@pytest.mark.slow
def test_wrong_flags_are_one_line(tmp_path):
    module = "logogan_jax.tune"
    config = f"--config={CONFIG}"
    assert "--config is missing" in failing("--trials=3", module=module)
    assert "there is no such file" in failing("--config=configs/nothing.py", module=module)
    assert "--trials" in failing(config, "--trials=0", module=module)
    assert "config.train.lerning is not a key" in failing(config, "--config.train.lerning=1", module=module)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.txt").write_text("precious")
    line = failing(config, f"--workdir={tmp_path / 'study'}", module=module)
    assert "holds thesis.txt but no study (no study.json): choose another" in line
    line = failing(config, f"--workdir={tmp_path / 'study' / 'thesis.txt'}", module=module)
    assert "cannot be written (Not a directory): choose another" in line
    assert [path.name for path in (tmp_path / "study").iterdir() if path.is_file()] == ["thesis.txt"]


def test_without_optuna_one_line_says_what_to_install(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    line = failing(f"--config={CONFIG}", module="logogan_jax.tune", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert line == "error: tuning needs optuna: pip install -e '.[tune]'"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_run_is_told_when_its_study_is_killed():
    leash = ROOT / "logogan_jax" / "core" / "die_with_parent.py"
    command = f"[sys.executable, {str(leash)!r}, str(os.getpid()), '/bin/sleep', '60']"
    code = f"import os, subprocess, sys, time; print(subprocess.Popen({command}).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        wait_until(lambda: "sleep" in pathlib.Path(f"/proc/{pid}/comm").read_text())
        parent.kill()
        wait_until(lambda: not is_alive(pid), 10)
    orphan = subprocess.run([sys.executable, leash, "1", "/bin/echo", "alone"], text=True, capture_output=True)
    assert orphan.returncode == 143 and not orphan.stdout  # its study died before it could ask to be told


def test_a_lock_ends_with_its_last_holder(tmp_path):
    lock = locks.try_lock(tmp_path / "lock")
    assert locks.try_lock(tmp_path / "lock") is None
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()]) as heir:
        lock.close()
        assert locks.try_lock(tmp_path / "lock") is None
        heir.kill()
    locks.try_lock(tmp_path / "lock").close()


REAL = """
import toy_config

from logogan_jax.tune.search_space import choice, log

def get_config():
    config = toy_config.get_config()
    config.data.update(dir={data!r}, held_out=0.5)
    config.train.steps = 120
    config.report.update(log_every=5, samples_every=120, checkpoint_every=10)
    config.evaluate.update(every_images=320, samples=32, features="toy")
    return config

def ranges():
    return {{"optimizer.generator.learning_rate": log(2e-5, 5e-4), "train.batch_size": choice(8, 16)}}
"""


@pytest.mark.slow
def test_real_trials_are_runs_that_resume_and_the_printed_command_is_that_of_the_best(shards, tmp_path):
    (tmp_path / "real.py").write_text(REAL.format(data=str(shards)))
    folder, toys = tmp_path / "study", environment(PYTHONPATH=os.pathsep.join((str(ROOT), str(ROOT / "tests"))))

    def tune():
        call = [sys.executable, HERE / "tune_toy.py", f"--config={tmp_path / 'real.py'}", f"--workdir={folder}"]
        return fork_server.start([*call, "--trials=2"], env=toys, cwd=ROOT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    process = tune()
    lines = folder / "trials" / "0001" / "metrics.jsonl"
    wait_until(lambda: lines.exists() and lines.stat().st_size, 200)
    process.send_signal(signal.SIGINT)
    finish(process, 130)
    summaries = [json.loads(path.read_text()) for path in sorted(folder.glob("trials/*/summary.json"))]
    assert [summary["status"] for summary in summaries] == ["finished", "stopped by SIGTERM"] and summaries[1]["step"]
    out, _ = finish(tune())
    assert f"Going on from step {summaries[1]['step']} in " in (folder / "logs" / "0001.log").read_text()
    for number, trial in enumerate(journal(folder)):
        run = json.loads((folder / "trials" / f"{number:04d}" / "summary.json").read_text())
        batch = trial.params["train.batch_size"]
        assert trial.state == run["status"] == "finished" and run["steps"] * batch == 120 * 8
        assert trial.kid._asdict() == run["best"]["kid_toy"] and trial.seconds == run["seconds"]
        assert len(trial.curve) == 3
    assert list(search.TRAIN) == [sys.executable, "-m", "logogan_jax.main"]  # of which these trials are a small one
    best = int(re.search(r"trial (\d+), KID", out).group(1))
    printed = shlex.split(out.split("Train it: ")[1])
    printed = [sys.executable, *printed[1:-1], f"--workdir={folder / 'trials' / f'{best:04d}'}"]
    again = fork_server.run(printed, env=toys, cwd=ROOT, text=True, capture_output=True)
    assert "is finished at step" in again.stdout, again.stderr  # as it could not be with another recipe
