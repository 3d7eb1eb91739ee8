"""Trials of a study: here each is a script whose KID is known beforehand."""

import concurrent.futures
import json
import sys
import time

import optuna
import pytest
from conftest import ROOT
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from studies import BASE, EVALUATIONS, FAKE_TRAINING, RANGES, is_alive, starts

from logogan_jax.core import locks, progress
from logogan_jax.core.errors import UserError
from logogan_jax.tune import gpu_assignment, journal_lock, scheduler, search, search_space, study, trial_process
from logogan_jax.tune.trial import Outcome


@pytest.fixture
def tuned(tmp_path, monkeypatch):
    """A function (trials, **changes of the plan) -> the study's trials, run in this process."""
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.02)
    folder = tmp_path / "study"

    def tune(trials, jobs=1, **changes):
        wanted = search.Plan("configs/it.py", BASE, {}, RANGES, (sys.executable, str(FAKE_TRAINING)))._replace(
            **changes
        )
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


@pytest.mark.slow
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
        assert not is_alive(starts(tuned.folder, trial.number)[0][0])
    assert not any((tuned.folder / "trials" / f"{trial.number:04d}" / "pruned.txt").exists() for trial in finished)


@pytest.mark.slow
def test_a_run_that_ends_before_sigterm_reaches_it_is_finished_with_all_its_evaluations(tuned, monkeypatch):
    asked = []
    monkeypatch.setenv("FAKE_PAUSE", "0.1")
    monkeypatch.setattr(trial_process.TrialProcess, "stop", lambda process: asked.append(process.folder.name))
    trials = tuned(9)
    assert asked  # some are worse than the median
    assert all(trial.state == "finished" and len(trial.curve) == EVALUATIONS for trial in trials)
    assert not list(tuned.folder.glob("trials/*/pruned.txt"))


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


def test_a_run_without_a_kid_is_not_one_to_compare(tuned, monkeypatch):
    monkeypatch.setenv("FAKE_NO_KID", "1")
    with pytest.raises(UserError, match=r"trial 0, .* failed: the run left no kid_efflite0 in summary.json"):
        tuned(2)


def test_what_was_left_unfinished_goes_on_with_the_same_values(tuned):
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
    current = tuned.study
    other = study.Study(tuned.folder, tuned.plan)
    claim = current.claim(2)
    try_lock = locks.try_lock

    def late(path):
        current.record_outcome(claim, Outcome("failed", reason="it rained"))
        return try_lock(path)

    monkeypatch.setattr(locks, "try_lock", late)
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


def test_what_shows_studies_of_optuna_reads_this_one(tuned):
    ours = tuned(2)
    journal = tuned.folder / "journal.jsonl"
    assert f"/{journal.name}\n" in (ROOT / "docs" / "trackers.md").read_text()
    (only,) = optuna.get_all_study_summaries(JournalStorage(JournalFileBackend(str(journal))))
    theirs = optuna.load_study(study_name=only.study_name, storage=JournalStorage(JournalFileBackend(str(journal))))
    assert [trial.value for trial in theirs.trials] == [trial.kid.value for trial in ours]
    assert [trial.params for trial in theirs.trials] == [trial.params for trial in ours]


def test_a_draw_that_was_cut_short_is_completed(tuned):
    tuned(1)
    current = tuned.study
    journal = str(tuned.folder / "journal.jsonl")
    # By our lock: for that of Optuna the file of ours is one that a dead process left half a minute ago.
    storage = JournalStorage(JournalFileBackend(journal, lock_obj=journal_lock.JournalLock(journal)))
    optuna.load_study(study_name=study.NAME, storage=storage).ask()  # no value drawn: the command died in between
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
