"""The loop of a study: start trials, watch them and stop the bad ones, until enough trials have ended."""

import pathlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from logogan_jax.core import timing
from logogan_jax.core.errors import UserError
from logogan_jax.core.progress import Bar
from logogan_jax.tune.search import Plan
from logogan_jax.tune.study import Claim, Study
from logogan_jax.tune.trial import Outcome, best_trial
from logogan_jax.tune.trial_process import TrialProcess

POLL_SECONDS = 0.25  # between two checks of the runs
# Trials in a row that fail before the command takes it for a fault of the machine and not of the values.
MAX_FAILURES = 5


class _Job(NamedTuple):
    """A trial that runs; `pruned` says why it was asked to stop, or is empty."""

    claim: Claim
    process: TrialProcess
    pruned: str = ""


def run_study(
    study: Study,
    plan: Plan,
    folder: pathlib.Path,
    *,
    trials: int,
    environments: Sequence[dict[str, str]],
    bar: Bar,
    report: Callable[[], None],
) -> None:
    """Run trials, one at a time for each environment, until `trials` have ended.

    `report()` is called after each. Whatever ends this early, such as Ctrl-C, lets the runs save first;
    their trials stay unfinished, for the next time. Raises a UserError when trial 0 or too many in a row fail.
    """
    jobs: dict[int, _Job] = {}  # by the position of their environment
    failures = 0
    try:
        while jobs or not study.is_complete(trials):
            for slot, environment in enumerate(environments):
                if slot not in jobs and (claim := study.claim(trials)):
                    jobs[slot] = _start(plan, folder, claim, environment)
            _show(bar, study, jobs)
            time.sleep(POLL_SECONDS)
            # Asked before the evaluations are read, so that those of a run that has ended are complete.
            ended = [slot for slot, job in jobs.items() if job.process.ended]
            for slot, job in jobs.items():
                jobs[slot] = _check(study, job)
            for slot in ended:
                outcome = _finish(study, jobs[slot], folder)
                number = jobs.pop(slot).claim.number
                bar.say(_format_outcome(number, outcome))
                report()
                failures = failures + 1 if outcome.state == "failed" else 0
                if failures == MAX_FAILURES:
                    raise UserError(_advice(failures, outcome, _log(folder, number)))
        _show(bar, study, jobs)
    finally:
        _stop_all(list(jobs.values()), bar)


def _stop_all(jobs: list[_Job], bar: Bar) -> None:
    """Let runs save, wait until their processes have ended, and give up the claims."""
    running = [job.process for job in jobs if not job.process.ended]
    if running:
        bar.say(f"Stopping: {len(running)} {'run saves' if len(running) == 1 else 'runs save'} first.")
    for process in running:
        process.stop()
    for job in jobs:
        job.process.wait()
        job.claim.lock.close()


def _start(plan: Plan, folder: pathlib.Path, claim: Claim, environment: dict[str, str]) -> _Job:
    workdir = folder / "trials" / f"{claim.number:04d}"
    process = TrialProcess(
        plan.command(claim.params, workdir),
        workdir,
        log=_log(folder, claim.number),
        lock=claim.lock,
        metric=plan.metric,
        environment=environment,
    )
    return _Job(claim, process)


def _check(study: Study, job: _Job) -> _Job:
    """Report a job's new evaluations to the study, and ask a job that is worse than most to stop."""
    evaluations = job.process.new_evaluations()
    if not evaluations:
        return job
    claim, should_stop = study.report_evaluations(job.claim, evaluations)
    job = job._replace(claim=claim)
    if not should_stop or job.pruned or job.process.ended:
        return job
    job.process.stop()
    step, kid = evaluations[-1]
    return job._replace(
        pruned=f"evaluation {len(evaluations)} (step {step}, KID {kid:.4f}): its best is worse than the median of the "
        f"trials that finished before"
    )


def _finish(study: Study, job: _Job, folder: pathlib.Path) -> Outcome:
    """Record in the study how a job ended.

    Raises a UserError when trial 0 fails. That is not recorded: the user mends the config, and trial 0 runs again.
    """
    outcome = job.process.outcome()
    if job.pruned and outcome.state != "finished":
        # The file tells a person that this run does not wait to go on.
        (job.process.folder / "pruned.txt").write_text(
            f"The study in {folder} stopped this run at {job.pruned}.\n", encoding="utf-8"
        )
        outcome = outcome._replace(state="pruned", reason=job.pruned)
    if outcome.state == "failed" and job.claim.number == 0:
        raise UserError(
            f"trial 0, the config as it is, failed: {outcome.reason}; mend that and run the same command again, "
            f"or choose another --workdir (its whole output is in {_log(folder, 0)})"
        )
    study.record_outcome(job.claim, outcome)
    return outcome


def _log(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / "logs" / f"{number:04d}.log"


def _advice(count: int, outcome: Outcome, log: pathlib.Path) -> str:
    return (
        f"{count} trials in a row failed, the last by: {outcome.reason}; mend that (its whole output is in {log}), "
        f"then run the same command with a higher --trials"
    )


def _format_outcome(number: int, outcome: Outcome) -> str:
    took = f", {timing.format_duration(outcome.seconds)}" if outcome.seconds else ""
    if outcome.state == "finished" and outcome.kid:
        return f"Trial {number}: KID {outcome.kid.value:.4f} at step {outcome.step}{took}"
    return f"Trial {number} {outcome.state}: {outcome.reason}{took}"


def _show(bar: Bar, study: Study, jobs: dict[int, _Job]) -> None:
    trials = study.trials()
    ended = [trial for trial in trials if trial.state not in ("running", "waiting")]
    best = best_trial(ended)
    running = ", ".join(str(job.claim.number) for _, job in sorted(jobs.items())) or "none here"
    text = f"best KID {best.score:.4f} (trial {best.number}), " if best else ""
    bar.update(len(ended), f"{text}running: {running}")
