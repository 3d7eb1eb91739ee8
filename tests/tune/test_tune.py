"""Tuning: every trial is a run of the training command; here that is a script whose KID is known beforehand."""

import collections
import concurrent.futures
import html.parser
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, environment, failing

from logogan_jax.core import files, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.intervals import Estimate
from logogan_jax.tune import gpu_assignment, report, scheduler, search, search_space, study, trial_process
from logogan_jax.tune.trial import Outcome, Trial

EVALUATIONS = 4
# Stands for logogan_jax.main: four evaluations; it resumes, and on SIGTERM saves and leaves. KID is best at 5 updates
# and at a rate of 3e-4.
FAKE = """
import json, math, os, pathlib, signal, sys, time

flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
folder, told = pathlib.Path(flags["workdir"]), []
signal.signal(signal.SIGTERM, lambda *_: told.append("SIGTERM"))
folder.mkdir(parents=True, exist_ok=True)
with open(folder / "starts.jsonl", "a") as file:
    file.write(json.dumps([os.getpid(), sys.argv[1:], os.environ.get("CUDA_VISIBLE_DEVICES")]) + "\\n")
rate, updates = (float(flags.get(f"config.{key}", own)) for key, own in
                 (("optimizer.critic.learning_rate", 1e-4), ("objective.critic_updates", 5)))
if str(updates) in os.environ.get("FAKE_FAILS", "").split():
    print("once upon a time")
    sys.exit("error: <b>updates</b> & $such$ are bad")
lines, steps, best = folder / "metrics.jsonl", int(flags.get("config.train.steps", 400)), {}
done = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
found, status = [line["evaluation/kid_efflite0"] for line in done if "critic/loss" not in line], "finished"
for number in range(len(found) + 1, 5):
    time.sleep(float(os.environ.get("FAKE_PAUSE", 0.01)))
    if told:
        status = "stopped by SIGTERM"
        break
    kid = 0.01 + abs(math.log(rate / 3e-4)) / 20 + (5 - updates) / 10 + 0.5 / 2**number
    found.append(kid)
    with open(lines, "a") as file:
        file.write(json.dumps({"step": number * steps // 4 - 1, "critic/loss": 1.0}) + "\\n")
        file.write(json.dumps({"step": number * steps // 4, "evaluation/kid_efflite0": kid,
                               "evaluation/kid_efflite0_low": kid - 1}) + "\\n")
if str(updates) == os.environ.get("FAKE_COLLAPSES"):
    status = "diverged"
best = {"step": steps, "kid_efflite0": {"value": min(found), "low": min(found) - 0.01, "high": min(found) + 0.01}}
(folder / "summary.json").write_text(json.dumps({
    "status": status, "reason": "KID rose <twice>", "step": 1, "best": best if found else None, "seconds": 90.0}))
"""
CONFIG = """
from logogan_jax.config import defaults
from logogan_jax.tune.search_space import choice, even, log

def get_config():
    config = defaults.get_config()
    config.train.steps = 4 * 2000
    return config

def ranges():
    return {"optimizer.critic.learning_rate": log(1e-5, 1e-3), "objective.critic_updates": even(1, 5)}
"""
DRIVER = """
import sys
from logogan_jax import command, tune
tune.TRAIN = (sys.executable, {fake!r})
command.run(tune.main, tune.define, required=["config"])
"""
BASE = {
    "optimizer.critic.learning_rate": 1e-4, "objective.critic_updates": 5, "train.steps": 8000, "train.batch_size": 64,
    "evaluate.every_images": 128_000, "evaluate.features": "efflite0", "data.held_out": 0.1, "report.keep": 3,
}  # fmt: skip
RANGES = {
    "optimizer.critic.learning_rate": search_space.log(1e-5, 1e-3),
    "objective.critic_updates": search_space.even(1, 5),
}


@pytest.fixture
def fake(tmp_path):
    path = tmp_path / "fake.py"
    path.write_text(FAKE)
    return path


@pytest.fixture
def tuned(fake, tmp_path, monkeypatch):
    """A function (trials, **changes of the plan) -> the study's trials, run in this process."""
    monkeypatch.setattr(scheduler, "POLL", 0.02)
    folder = tmp_path / "study"

    def tune(trials, jobs=1, **changes):
        wanted = search.Plan("configs/it.py", BASE, {}, RANGES, (sys.executable, str(fake)))._replace(**changes)
        for name in ("trials", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        current = study.Study(folder, wanted)
        with progress.Bar("trial", trials, unit="trials") as bar:
            scheduler.run_study(
                current,
                wanted,
                folder,
                trials=trials,
                environments=gpu_assignment.assign_gpus([], jobs),
                bar=bar,
                report=lambda: None,
            )
        tune.study, tune.plan = current, wanted
        return current.trials()

    tune.folder = folder
    return tune


def starts(folder, number):
    """[(process id, arguments, GPUs)] of all starts of a trial's run."""
    path = folder / "trials" / f"{number:04d}" / "starts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# ── trials ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_tuning_finds_better_values_than_those_of_the_config_which_are_tried_first(tuned):
    trials = tuned(24)
    first, best = trials[0], min((t for t in trials if t.state == "finished"), key=lambda t: t.kid.value)
    assert first.params == {"optimizer.critic.learning_rate": 1e-4, "objective.critic_updates": 5}
    assert first.kid.value == pytest.approx(0.01 + 0.0549306 + 0.5 / 16) and first.state == "finished"
    assert first.kid.low == pytest.approx(first.kid.value - 0.01) and first.step == 400 and first.seconds == 90
    assert best.kid.value < first.kid.value - 0.03 and best.params["objective.critic_updates"] == 5
    assert len(trials) == 24 and [trial.number for trial in trials] == list(range(24))
    assert all(len(trial.curve) == EVALUATIONS for trial in trials if trial.state == "finished")
    assert tuned.study.param_importance() == {}  # of so few finished trials


@pytest.mark.slow
def test_what_matters_is_told_from_what_does_not(tuned):
    rate = "optimizer.critic.learning_rate"
    idle = {"objective.penalty": search_space.log(2.0, 50.0), "optimizer.critic.b1": search_space.choice(0.0, 0.5)}
    base = {**BASE, "objective.penalty": 10.0, "optimizer.critic.b1": 0.5, "evaluate.every_images": 512_000}
    tuned(30, base=base, ranges={rate: RANGES[rate], **idle})
    assert all(trial.state == "finished" for trial in tuned.study.trials())  # once at the end is too late to stop any
    told = tuned.study.param_importance()
    assert next(iter(told)) == rate and told[rate] > 0.5 and sum(told.values()) == pytest.approx(1)


def test_what_is_worse_than_most_gets_sigterm_and_its_folder_says_so(tuned, monkeypatch):
    monkeypatch.setenv("FAKE_PAUSE", "0.1")
    trials = tuned(9)
    assert all(trial.state == "finished" for trial in trials[:5])  # nothing to be judged by
    pruned = [trial for trial in trials if trial.state == "pruned"]
    finished = [trial for trial in trials if trial.state == "finished"]
    assert pruned and min(t.kid.value for t in pruned) > min(t.kid.value for t in finished)
    for trial in pruned:
        run = tuned.folder / "trials" / f"{trial.number:04d}"
        assert json.loads((run / "summary.json").read_text())["status"] == "stopped by SIGTERM"
        assert 1 <= len(trial.curve) < EVALUATIONS and "worse than the median" in trial.reason
        assert trial.reason in (run / "pruned.txt").read_text()
        assert not alive(starts(tuned.folder, trial.number)[0][0])
    assert not any((tuned.folder / "trials" / f"{trial.number:04d}" / "pruned.txt").exists() for trial in finished)


def test_a_run_that_fails_is_a_failed_trial_with_its_reason(tuned, monkeypatch):
    monkeypatch.setenv("FAKE_FAILS", "4.0")
    trials = tuned(6, ranges={"objective.critic_updates": search_space.even(4, 5)})
    failed = [trial for trial in trials if trial.params["objective.critic_updates"] == 4]
    assert 0 < len(failed) < 6
    for trial in trials:
        assert trial.state == ("failed" if trial in failed else "finished")
    assert failed[0].reason == "<b>updates</b> & $such$ are bad (status 1)" and failed[0].kid is None
    assert "once upon a time" in (tuned.folder / "logs" / f"{failed[0].number:04d}.log").read_text()


def test_a_run_that_the_guard_stops_is_pruned_with_its_reason(tuned, monkeypatch):
    monkeypatch.setenv("FAKE_COLLAPSES", "4.0")
    trials = tuned(5, ranges={"objective.critic_updates": search_space.even(4, 5)})
    stopped = [trial for trial in trials if trial.params["objective.critic_updates"] == 4]
    assert stopped and all(trial.state == "pruned" and trial.reason == "KID rose <twice>" for trial in stopped)
    assert trials[0].state == "finished"


def test_a_config_that_fails_as_it_is_ends_the_study_until_it_is_mended(tuned, monkeypatch):
    monkeypatch.setenv("FAKE_FAILS", "5.0")
    with pytest.raises(UserError, match=r"trial 0, the config as it is, failed: <b>updates.* are bad \(status 1\); "):
        tuned(3)
    monkeypatch.delenv("FAKE_FAILS")
    trials = tuned(3)
    assert [trial.state for trial in trials] == ["finished"] * 3 and len(starts(tuned.folder, 0)) == 2


def test_many_failures_in_a_row_are_no_fault_of_the_values(tuned, monkeypatch):
    monkeypatch.setenv("FAKE_FAILS", "1.0 2.0 3.0 4.0")
    with pytest.raises(UserError, match=r"^5 trials in a row failed, the last by: <b>.*higher --trials"):
        tuned(40)


def test_a_run_without_a_kid_is_not_one_to_compare(tuned, fake):
    fake.write_text(FAKE.replace("best if found else None", "None"))
    with pytest.raises(UserError, match=r"trial 0, .* failed: the run left no kid_efflite0 in summary.json"):
        tuned(2)


def test_what_was_left_unfinished_goes_on_with_the_same_values(tuned, fake):
    trials = tuned(2)
    current = tuned.study
    claim = current.claim(3)
    assert claim.number == 2 and current.claim(3) is None and not current.is_complete(3)
    lines = tuned.folder / "trials" / "0002" / "metrics.jsonl"
    lines.parent.mkdir()
    lines.write_text('{"step": 100, "evaluation/kid_efflite0": 0.5}\n{"step": 200, "evaluation/kid_eff')  # torn
    found = trial_process.read_evaluations(lines, "kid_efflite0")
    claim, worse = current.report_evaluations(claim, found)
    assert found == [(100, 0.5)] and not worse and claim.reported == 1
    claim.lock.close()  # as when its command dies
    lines.write_text('{"step": 100, "evaluation/kid_efflite0": 0.5}\n')
    trials = tuned(3)
    assert len(trials) == 3 and trials[2].params == claim.params and trials[2].state == "finished"
    assert trials[2].curve[0][1] == 0.5 and len(trials[2].curve) == EVALUATIONS
    assert tuned.study.is_complete(3)


def test_a_trial_that_ends_while_others_look_for_one_is_not_taken_again(tuned, monkeypatch):
    tuned(1)
    current, other = tuned.study, study.Study(tuned.folder, tuned.plan)
    claim, taken = current.claim(2), other._taken

    def late(number):
        current.record_outcome(claim, Outcome("failed", reason="it rained"))
        return taken(number)

    monkeypatch.setattr(other, "_taken", late)
    assert other.claim(2) is None and other.trials()[1].reason == "it rained"


def test_one_draws_at_a_time(tuned):
    tuned(1)
    other = study.Study(tuned.folder, tuned.plan)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        with tuned.study.exclusive():
            drawn = thread.submit(other.claim, 2)
            time.sleep(0.3)
            assert not drawn.done()
        assert drawn.result(30).number == 1


def test_a_draw_that_was_cut_short_is_completed(tuned):
    tuned(1)
    current = tuned.study
    current._study.ask()  # and no value drawn: the command died in between
    assert current.trials()[1].params == {}
    claim = current.claim(2)
    assert claim.number == 1 and claim.params.keys() == RANGES.keys()
    assert current.trials()[1].params == claim.params
    claim.lock.close()


def test_a_command_that_goes_on_does_not_draw_the_same_values_again(tuned):
    drawn = [tuple(tuned(number)[-1].params.values()) for number in range(1, 5)]
    assert len(set(drawn)) == 4


def test_a_torn_line_of_the_journal_is_taken_away(tuned):
    tuned(2)
    journal = tuned.folder / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    assert len(tuned(3)) == 3
    assert journal.read_bytes().startswith(whole) and b'"wor{' not in journal.read_bytes()
    assert all(json.loads(line) for line in journal.read_text().splitlines())


# ── plans ───────────────────────────────────────────────────────────────────────────────────


def test_trials_are_the_training_command_with_other_values_and_as_many_images():
    base = {**BASE, "train.steps": 1000, "data.dir": ""}
    wanted = search.Plan("c.py", base, {"data.dir": "my logos"}, {"train.batch_size": search_space.choice(32, 64, 128)})
    assert wanted.command({"train.batch_size": 64}, "w") == [
        sys.executable, "-m", "logogan_jax.main", "--config=c.py", "--config.data.dir=my logos",
        "--config.report.keep=1", "--workdir=w",
    ]  # fmt: skip
    assert "--config.train.steps=2000" in wanted.command({"train.batch_size": 32}, "w")
    assert wanted.shell_command({"train.batch_size": 128}, "w") == (
        "python -m logogan_jax.main --config=c.py '--config.data.dir=my logos' --config.train.batch_size=128 "
        "--config.train.steps=500 --workdir=w"
    )
    assert wanted.images({"train.batch_size": 128}, 500) == 1000 * 64
    both = wanted._replace(ranges={**wanted.ranges, "train.steps": search_space.even(10, 1000)})
    assert both.settings({"train.batch_size": 32, "train.steps": 1000}) == {
        "data.dir": "my logos", "train.batch_size": 32,
    }  # fmt: skip


def test_drawn_numbers_are_short_and_stay_in_their_range():
    base = {**BASE, "a": 1.23456789, "b": 0.5}
    wanted = search.Plan("c.py", base, {}, {"a": search_space.even(0.5, 2.5), "b": search_space.even(0, 0.99996)})
    assert wanted.settings({"a": 1.98765432, "b": 0.99996}) == {"a": 1.988, "b": 0.99996}
    assert wanted.settings({"a": 1.23456789, "b": 0.5}) == {}


def test_the_table_holds_what_the_config_has():
    base = {
        "optimizer.critic.learning_rate": 1e-4, "optimizer.critic.b1": 0.9, "optimizer.generator.learning_rate": 2e-4,
        "train.batch_size": 64, "objective.critic_updates": 7, "objective.penalty": 0.0, "model.width": 8,
    }  # fmt: skip
    found = search_space.default_ranges(base)
    assert found.keys() == base.keys() - {"objective.penalty", "model.width"}
    assert found["optimizer.critic.b1"].values == (0.0, 0.5, 0.9)
    assert found["optimizer.generator.learning_rate"] == (pytest.approx(4e-5), pytest.approx(1e-3), True)
    assert found["train.batch_size"].values == (32, 64, 128)
    assert found["objective.critic_updates"][:2] == (1, 7)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("{'optimizer.critic.lerning_rate': log(1e-5, 1e-3)}",
         "'optimizer.critic.lerning_rate' is not a key of the config: did you mean 'optimizer.critic.learning_rate'"),
        ("{'train.seed': even(0, 9)}", "'train.seed' cannot be tuned, for its trials could not be compared"),
        ("{'objective.critic_updates': even(1.5, 6)}", "may be 1.5, but in the config it is 5, another kind"),
        ("{'objective.critic_updates': even(5, 5)}", "goes from 5 to 5: it should be upwards"),
        ("{'objective.penalty': log(0, 20)}", "goes from 0.0 to 20.0: it should be upwards and above 0"),
        ("{'objective.critic_updates': choice(1, 2)}", "leaves out 5, the config's own value"),
        ("{'objective.critic_updates': (1, 6)}", r"is \(1, 6\): it should be choice\(...\), even\(low, high\)"),
        ("{}", "leaves nothing to tune"),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be_is_named_in_one_line(tmp_path, own, message):
    path = tmp_path / "mine.py"
    path.write_text(f"from logogan_jax.tune.search_space import choice, even, log\ndef ranges():\n    return {own}\n")
    base = {**BASE, "objective.penalty": 10.0, "train.seed": 0}
    with pytest.raises(UserError, match=message) as caught:
        search_space.read_ranges(path, base, fixed={})
    assert "\n" not in str(caught.value)


def test_a_key_of_the_command_line_is_not_tuned(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CONFIG)
    assert search_space.read_ranges(path, BASE, fixed={}).keys() == RANGES.keys()
    left = search_space.read_ranges(path, BASE, fixed={"objective.critic_updates": 5})
    assert left == {"optimizer.critic.learning_rate": (1e-5, 1e-3, True)}
    with pytest.raises(UserError, match="leaves nothing to tune, all of them given on the command line"):
        search_space.read_ranges(path, BASE, fixed=RANGES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate.every_images": 0}, r"every_images is 0, .*: set --config.evaluate.every_images=64000"),
        ({"evaluate.every_images": 512_000}, r"512,000 images is judged at its end alone, .*every_images=64000"),
        ({"data.held_out": 0.0}, "config.data.held_out is 0, .*: set it to 0.1"),
    ],
)
def test_trials_that_could_not_be_judged_are_refused(changes, message):
    search.check(search.Plan("c.py", {**BASE, "evaluate.every_images": 511_000}, {}, RANGES))
    with pytest.raises(UserError, match=message):
        search.check(search.Plan("c.py", {**BASE, **changes}, {}, RANGES))


def test_another_study_is_not_mixed_in(tmp_path):
    path, wanted = tmp_path / "study.json", search.Plan("c.py", BASE, {}, RANGES)
    search.save_or_compare(wanted, path)
    search.save_or_compare(wanted, path)
    search.save_or_compare(wanted._replace(base={**BASE, "report.keep": 9}), path)
    with pytest.raises(UserError, match=r"config.train.steps is 9, but the study in .* was started with 8000"):
        search.save_or_compare(wanted._replace(base={**BASE, "train.steps": 9}), path)
    with pytest.raises(UserError, match=r"the range of objective.critic_updates is None, but the study in"):
        search.save_or_compare(
            wanted._replace(ranges={"optimizer.critic.learning_rate": search_space.log(1e-5, 1e-3)}), path
        )
    path.write_text("{")
    with pytest.raises(UserError, match="is not a study's"):
        search.save_or_compare(wanted, path)


# ── devices ─────────────────────────────────────────────────────────────────────────────────


def test_each_job_has_its_own_share_of_the_gpus(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    assert gpu_assignment.gpu_names(2, None) == ["0", "1"] and gpu_assignment.gpu_names(2, "3, GPU-5,") == [
        "3",
        "GPU-5",
    ]
    assert gpu_assignment.assign_gpus([], 2) == [{}, {}]
    four = ["0", "1", "2", "3"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in gpu_assignment.assign_gpus(four, 4)] == four
    assert [one["CUDA_VISIBLE_DEVICES"] for one in gpu_assignment.assign_gpus(four, 2)] == ["0,1", "2,3"]
    shared = gpu_assignment.assign_gpus(["0", "1"], 4)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in shared] == ["0", "1", "0", "1"]
    assert {one["XLA_PYTHON_CLIENT_MEM_FRACTION"] for one in shared} == {"0.450"}


def test_counting_gpus_leaves_jax_alone_here(monkeypatch):
    code = "import sys; from logogan_jax.tune import __main__, gpu_assignment, study; " \
           "print(gpu_assignment.list_gpus(), 'jax' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environment(JAX_PLATFORMS="cpu"), cwd=ROOT, text=True,
                          capture_output=True)  # fmt: skip
    assert done.stdout.strip() == "[] False", done.stderr
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    with pytest.raises(UserError, match=r"JAX does not start on this machine: .*abacus"):
        gpu_assignment.list_gpus()


# ── the page ────────────────────────────────────────────────────────────────────────────────


class Balanced(html.parser.HTMLParser):
    """Fails on an element that is not closed, and collects what is read and which parts are named."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.names = [], [], collections.Counter()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.names.update(value for name, value in attributes if name == "id")
        assert not [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]
        if tag not in ("meta", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def some_trials():
    curve = [(64_000, 0.3), (128_000, 0.2)]
    of = lambda rate, updates: {"optimizer.critic.learning_rate": rate, "objective.critic_updates": updates}
    return [
        Trial(0, "finished", of(1e-4, 5), Estimate(0.2, 0.19, 0.21), 400, 90.0, "", curve),
        Trial(1, "failed", of(1e-3, 1), None, None, None, "error <b>bold</b> & $x_1$", []),
        Trial(
            2, "pruned", of(2e-4, 1), Estimate(0.4, float("nan"), float("nan")), None, None, "</td>", [(64_000, 0.4)]
        ),
        Trial(3, "finished", of(3e-4, 4), Estimate(0.1, 0.09, 0.11), 400, 90.0, "", [(64_000, 0.2), (128_000, 0.1)]),
        Trial(4, "running", of(4e-4, 3), None, None, None, "", []),
    ]


def test_the_page_is_one_whole_escaped_file_with_the_best_and_its_command(tmp_path):
    wanted = search.Plan("<i>c.py", BASE, {"data.dir": "<i>mine"}, RANGES)
    page = report.render_page(wanted, tmp_path, some_trials(), total=9, importance={"objective.critic_updates": 0.75})
    seen = Balanced(page)
    assert max(seen.names.values()) == 1  # no two parts of one name
    assert "<i>" not in page and "<b>bold" not in page and "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", page)
    text = " ".join(seen.text)
    assert "error <b>bold</b> & $x_1$" in text and "0.1000 [0.0900, 0.1100]" in text and "75%" in text
    assert "their intervals are apart" in text and "4 of 9" in text and "50%" in text
    assert "--config.optimizer.critic.learning_rate=0.0003 \\\n  --config.objective.critic_updates=4 \\\n" in text
    assert page.index("<td>3</td>") < page.index("<td>0</td>") < page.index("<td>2</td>") < page.index("<td>1</td>")
    assert page.count("<svg") == 4
    assert not re.search(r"#[1-6]0[1-6]1[1-6]2", page)  # no colour is left that should follow the reader's


def test_the_verdict_is_one_line(tmp_path):
    wanted, trials = search.Plan("c.py", BASE, {}, RANGES), some_trials()
    line = report.summarize(wanted, tmp_path / "tune-c", trials)
    assert line.startswith("Best of 5: trial 3, KID 0.1000 [0.0900, 0.1100]; the config as it is has 0.2000")
    assert line.endswith("--config.objective.critic_updates=4 --workdir=runs/tune-c-best") and "\n" not in line
    near = [trials[0], trials[3]._replace(kid=Estimate(0.195, 0.185, 0.205))]
    assert "their intervals overlap, so it may be chance" in report.summarize(wanted, tmp_path, near)
    assert "the config as it is is still the best" in report.summarize(wanted, tmp_path, trials[:3])
    assert "None of 2 trials finished" in report.summarize(wanted, tmp_path, trials[1:3])
    Balanced(report.render_page(wanted, tmp_path, [], total=3, importance={}))
    Balanced(report.render_page(wanted, tmp_path, trials[4:], total=3, importance={}))


# ── the command ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def begin(fake, tmp_path):
    """A function (*flags, **environment) -> the tuning command in a process of its own."""
    (tmp_path / "tiny.py").write_text(CONFIG)
    (tmp_path / "driver.py").write_text(DRIVER.format(fake=str(fake)))
    started = []

    def start(*flags, **extra):
        call = [sys.executable, str(tmp_path / "driver.py"), f"--config={tmp_path / 'tiny.py'}",
                f"--workdir={tmp_path / 'study'}", *flags]  # fmt: skip
        started.append(subprocess.Popen(call, env=environment(JAX_PLATFORMS="cpu", **extra), cwd=ROOT, text=True,
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
    until(lambda: ended(begin.folder) >= 3)
    process.kill()
    process.wait()
    for number in range(8):  # a trial belongs to its run as long as that lives
        lock = files.try_lock(begin.folder / "locks" / f"{number:04d}")
        assert lock is None or not any(alive(pid) for pid, *_ in starts(begin.folder, number))
        if lock:
            lock.close()
    begun = [pid for number in range(8) for pid, *_ in starts(begin.folder, number)]
    until(lambda: not any(alive(pid) for pid in begun), 10)  # the runs do not outlive their study
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
    until(lambda: (begin.folder / "trials" / "0001" / "metrics.jsonl").exists())
    process.send_signal(number)
    _, err = finish(process, status)
    assert err.strip().splitlines()[-1] == "stopped: the same command goes on where this one was"
    assert "Stopping: 1 run saves first." in err and "Traceback" not in err
    assert not alive(starts(begin.folder, 1)[0][0])
    assert json.loads((begin.folder / "trials/0001/summary.json").read_text())["status"] == "stopped by SIGTERM"
    assert [trial.state for trial in journal(begin.folder)] == ["finished", "running"]
    finish(begin("--trials=3"))
    assert [len(starts(begin.folder, trial)) for trial in range(3)] == [1, 2, 1]


def test_wrong_flags_are_one_line(tmp_path, begin):
    module = "logogan_jax.tune"
    config = f"--config={tmp_path / 'tiny.py'}"
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


def test_without_optuna_one_line_says_what_to_install(tmp_path, begin):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    line = failing(
        f"--config={tmp_path / 'tiny.py'}", module="logogan_jax.tune", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"
    )
    assert line == "error: tuning needs optuna: pip install -e '.[tune]'"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_run_is_told_when_its_study_is_killed():
    leash = ROOT / "logogan_jax" / "core" / "die_with_parent.py"
    command = f"[sys.executable, {str(leash)!r}, str(os.getpid()), '/bin/sleep', '60']"
    code = f"import os, subprocess, sys, time; print(subprocess.Popen({command}).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        until(lambda: "sleep" in pathlib.Path(f"/proc/{pid}/comm").read_text())
        parent.kill()
        until(lambda: not alive(pid), 10)
    orphan = subprocess.run([sys.executable, leash, "1", "/bin/echo", "alone"], text=True, capture_output=True)
    assert orphan.returncode == 143 and not orphan.stdout  # its study died before it could ask to be told


def test_a_lock_ends_with_its_last_holder(tmp_path):
    lock = files.try_lock(tmp_path / "lock")
    assert files.try_lock(tmp_path / "lock") is None
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()]) as heir:
        lock.close()
        assert files.try_lock(tmp_path / "lock") is None
        heir.kill()
    files.try_lock(tmp_path / "lock").close()


REAL = """
from logogan_jax.config import defaults
from logogan_jax.tune.search_space import choice, log

def get_config():
    config = defaults.get_config()
    config.data.update(size=28, dir={data!r}, held_out=0.5)
    config.model = defaults.block(name="dcgan", latent=8, width=4, kernel=4, dropout=0.4)
    config.objective = defaults.block(name="gan", critic_updates=1)
    config.train.update(steps=24, batch_size=8)
    config.evaluate.update(every_images=32, samples=32)
    return config

def ranges():
    return {{"optimizer.generator.learning_rate": log(2e-5, 5e-4), "train.batch_size": choice(8, 16)}}
"""


@pytest.mark.slow
def test_real_trials_are_runs_that_resume_and_the_printed_command_is_that_of_the_best(shards, tmp_path):
    (tmp_path / "real.py").write_text(REAL.format(data=str(shards)))
    folder = tmp_path / "study"

    def tune():
        call = [sys.executable, "-m", "logogan_jax.tune", f"--config={tmp_path / 'real.py'}", f"--workdir={folder}"]
        return subprocess.Popen([*call, "--trials=2"], env=environment(), cwd=ROOT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    process = tune()
    lines = folder / "trials" / "0001" / "metrics.jsonl"
    until(lambda: lines.exists() and lines.stat().st_size, 200)
    process.send_signal(signal.SIGINT)
    finish(process, 130)
    summaries = [json.loads(path.read_text()) for path in sorted(folder.glob("trials/*/summary.json"))]
    assert [summary["status"] for summary in summaries] == ["finished", "stopped by SIGTERM"] and summaries[1]["step"]
    out, _ = finish(tune())
    assert f"Going on from step {summaries[1]['step']} in " in (folder / "logs" / "0001.log").read_text()
    for number, trial in enumerate(journal(folder)):
        run = json.loads((folder / "trials" / f"{number:04d}" / "summary.json").read_text())
        batch = trial.params["train.batch_size"]
        assert trial.state == run["status"] == "finished" and run["steps"] * batch == 24 * 8
        assert trial.kid._asdict() == run["best"]["kid_efflite0"] and trial.seconds == run["seconds"]
        assert len(trial.curve) == 6
    best = int(re.search(r"trial (\d+), KID", out).group(1))
    printed = shlex.split(out.split("Train it: ")[1])
    printed = [sys.executable, *printed[1:-1], f"--workdir={folder / 'trials' / f'{best:04d}'}"]
    again = subprocess.run(printed, env=environment(), cwd=ROOT, text=True, capture_output=True)
    assert "is finished at step" in again.stdout, again.stderr  # as it could not be with another recipe
