"""The loop of a study: start trials, watch them, stop what is worse than most, until the study has its number."""

import time
from typing import Any, NamedTuple

from logogan_jax.core import timing
from logogan_jax.core.errors import UserError
from logogan_jax.tune.trial import best_trial
from logogan_jax.tune.trial_process import TrialProcess

POLL = 0.25  # seconds between looks at the runs
FAILURES = 5  # trials in a row that fail before the command takes it for a fault of the machine, not of the values


class _Job(NamedTuple):
    """A trial that runs; `pruned` says why it was asked to stop, if it was."""

    claim: Any
    run: TrialProcess
    pruned: str = ""


def run_study(study, plan, folder, *, trials, environments, bar, report):
    """TrialProcess trials, one at a time for each environment, until `trials` have ended.

    `report()` is called after each. Whatever ends this early, such as Ctrl-C, lets the runs save first;
    their trials stay unfinished, for the next time.
    """
    jobs, failures = [None] * len(environments), 0
    try:
        while any(jobs) or not study.is_complete(trials):
            for slot, environment in enumerate(environments):
                if not jobs[slot] and (claim := study.claim(trials)):
                    jobs[slot] = _start(plan, folder, claim, environment)
            _show(bar, study, jobs)
            time.sleep(POLL)
            gone = [job and job.run.ended for job in jobs]  # asked before the last look, which then misses nothing
            jobs = [job and _watch(study, job) for job in jobs]
            for slot in [slot for slot, ended in enumerate(gone) if ended]:
                job, outcome = jobs[slot], _ended(study, jobs[slot], folder)
                jobs[slot] = None
                bar.say(_line(job.claim.number, outcome))
                report()
                failures = failures + 1 if outcome.state == "failed" else 0
                if failures == FAILURES:
                    raise UserError(_advice(failures, outcome, _log(folder, job.claim.number)))
        _show(bar, study, jobs)
    finally:
        _leave([job for job in jobs if job], bar)


def _leave(jobs, bar):
    """Let runs save, wait until they are gone, and give up the claims."""
    running = [job.run for job in jobs if not job.run.ended]
    if running:
        bar.say(f"Stopping: {len(running)} {'run saves' if len(running) == 1 else 'runs save'} first.")
    for run in running:
        run.stop()
    for job in jobs:
        job.run.wait()
        job.claim.lock.close()


def _start(plan, folder, claim, environment):
    workdir = folder / "trials" / f"{claim.number:04d}"
    run = TrialProcess(
        plan.command(claim.params, workdir), workdir, log=_log(folder, claim.number), lock=claim.lock,
        metric=plan.metric, environment=environment,
    )  # fmt: skip
    return _Job(claim, run)


def _watch(study, job):
    """The job after another look at its evaluations; one that is worse than most is asked to stop."""
    found = job.run.new_evaluations()
    if not found or job.pruned:
        return job
    claim, worse = study.report_evaluations(job.claim, found)
    job = job._replace(claim=claim)
    if not worse or job.run.ended:
        return job
    job.run.stop()
    step, kid = found[-1]
    return job._replace(
        pruned=f"evaluation {len(found)} (step {step}, KID {kid:.4f}): its best is worse than the median of the trials "
        f"that finished before"
    )


def _ended(study, job, folder):
    """Tell the study of a run that has ended -> Outcome; a trial 0 that failed is the user's to mend, and not told."""
    outcome = job.run.outcome()
    if job.pruned and outcome.state != "finished":
        # Nobody should take the run for one that waits to go on.
        (job.run.folder / "pruned.txt").write_text(f"The study in {folder} stopped this run at {job.pruned}.\n")
        outcome = outcome._replace(state="pruned", reason=job.pruned)
    if outcome.state == "failed" and job.claim.number == 0:
        raise UserError(
            f"trial 0, the config as it is, failed: {outcome.reason}; mend that and run the same command again, "
            f"or choose another --workdir (all it said is in {_log(folder, 0)})"
        )
    study.record_outcome(job.claim, outcome)
    return outcome


def _log(folder, number):
    return folder / "logs" / f"{number:04d}.log"


def _advice(count, outcome, log):
    return (
        f"{count} trials in a row failed, the last by: {outcome.reason}; mend that (all it said is in {log}), "
        f"then run the same command with a higher --trials"
    )


def _line(number, outcome):
    took = f", {timing.format_duration(outcome.seconds)}" if outcome.seconds else ""
    if outcome.state == "finished":
        return f"Trial {number}: KID {outcome.kid.value:.4f} at step {outcome.step}{took}"
    return f"Trial {number} {outcome.state}: {outcome.reason}{took}"


def _show(bar, study, jobs):
    trials = study.trials()
    ended = [trial for trial in trials if trial.state not in ("running", "waiting")]
    best = best_trial(ended)
    now = ", ".join(str(job.claim.number) for job in jobs if job) or "none here"
    text = f"best KID {best.kid.value:.4f} (trial {best.number}), " if best else ""
    bar.update(len(ended), f"{text}running: {now}")
