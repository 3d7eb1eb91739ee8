"""The trials of a study, in Optuna's journal, shared by all commands that tune in the same folder.

A trial belongs to the command that holds the lock of its number. A lock ends with its holder, so a trial
that a killed command left unfinished is taken up by the next one, with the same values.
"""

import contextlib
import math
import pathlib
import warnings
from typing import IO, Any, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from logogan_jax.core import locks
from logogan_jax.core.intervals import Estimate
from logogan_jax.tune import journal_lock
from logogan_jax.tune.search import Plan
from logogan_jax.tune.trial import Outcome, Trial

NAME = "logogan_jax"
N_RANDOM_TRIALS = 10  # trials whose values are drawn at random before the estimator takes over
MIN_FINISHED_TO_PRUNE = 5  # finished trials before any is stopped early
MIN_FINISHED_FOR_IMPORTANCE = 20  # finished trials before the report says which keys matter
WARM_UP_PARTS = 4  # nothing is stopped in the first part of this many of a run
_STATES = {
    TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
}  # fmt: skip


class Claim(NamedTuple):
    """A trial that belongs to this command, with its values and the lock that says so.

    `reported` is the number of evaluations in the journal, and `judged` that of evaluations judged since the claim.
    """

    number: int
    params: dict[str, Any]
    optuna_trial: optuna.trial.Trial
    lock: IO[Any]
    reported: int
    judged: int = 0


class Study:
    """The trials of a plan in a folder; the first is the config as it is."""

    def __init__(self, folder: pathlib.Path, plan: Plan):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._folder = folder
        self._plan = plan
        (folder / "locks").mkdir(exist_ok=True)
        journal = str(folder / "journal.jsonl")
        lock = journal_lock.JournalLock(journal)
        with self.exclusive():
            backend = JournalFileBackend(journal, lock_obj=lock)  # pyright: ignore[reportArgumentType] - see its class
            self._storage = JournalStorage(backend)
            pruner = optuna.pruners.MedianPruner(MIN_FINISHED_TO_PRUNE, max(1, plan.evaluations // WARM_UP_PARTS))
            self._study = optuna.create_study(
                storage=self._storage, study_name=NAME, load_if_exists=True, pruner=pruner, direction="minimize"
            )
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(plan.initial_params)

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Return a block during which no other command draws a trial or writes a report in the folder."""
        return locks.hold_lock(self._folder / "locks" / "study")

    def claim(self, total: int) -> Claim | None:
        """Claim a trial that was left unfinished, or a new one while there are fewer than `total`, or return None."""
        with self.exclusive():
            trials = self._study.get_trials(deepcopy=False)
            for number in [trial.number for trial in trials if trial.state == TrialState.RUNNING]:
                if lock := self._try_lock(number):
                    # It may have ended after it was listed and before its lock was free.
                    if self._read(number).state == TrialState.RUNNING:
                        return self._claim(number, lock)
                    lock.close()
            if len(trials) >= total and not any(trial.state == TrialState.WAITING for trial in trials):
                return None
            self._study.sampler = _sampler(len(trials))
            number = self._study.ask().number
            lock = self._try_lock(number)
            assert lock, "nobody else knows the number yet"
            return self._claim(number, lock)

    def is_complete(self, total: int) -> bool:
        """Return whether `total` trials have ended."""
        trials = self._study.get_trials(deepcopy=False)
        return len(trials) >= total and all(trial.state.is_finished() for trial in trials)

    def report_evaluations(self, claim: Claim, evaluations: list[tuple[int, float]]) -> tuple[Claim, bool]:
        """Record [(step, KID)], all evaluations of a claimed trial until now.

        Returns the Claim as it is then, and whether the trial should be stopped.
        """
        if len(evaluations) <= claim.judged:
            return claim, False
        for number, (_, kid) in enumerate(evaluations[claim.reported :], claim.reported + 1):
            claim.optuna_trial.report(kid, number)
        claim.optuna_trial.set_user_attr("steps", [step for step, _ in evaluations])
        claim = claim._replace(judged=len(evaluations), reported=max(len(evaluations), claim.reported))
        return claim, claim.reported < self._plan.evaluations and claim.optuna_trial.should_prune()

    def record_outcome(self, claim: Claim, outcome: Outcome) -> None:
        """Record how a claimed trial ended, and give up the claim."""
        attributes = {
            "kid": outcome.kid and list(outcome.kid),
            "step": outcome.step,
            "seconds": outcome.seconds,
            "reason": outcome.reason,
        }
        for name, value in attributes.items():
            if value is not None:
                claim.optuna_trial.set_user_attr(name, value)
        if outcome.state == "finished" and outcome.kid:
            self._study.tell(claim.number, outcome.kid.value)
        else:
            self._study.tell(claim.number, state=TrialState.PRUNED if outcome.state == "pruned" else TrialState.FAIL)
        claim.lock.close()

    def trials(self) -> list[Trial]:
        """Return the trials in order of their numbers."""
        return [self._to_trial(trial) for trial in self._study.get_trials(deepcopy=False)]

    def param_importance(self) -> dict[str, float]:
        """Return {key: share of the differences in KID that it explains}, most first; {} while trials are few."""
        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(finished) < MIN_FINISHED_FOR_IMPORTANCE:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the report itself says how rough this is
            # The better half: Optuna's default, the better tenth, is two of twenty trials.
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
            return optuna.importance.get_param_importances(self._study, evaluator=evaluator)

    def _try_lock(self, number: int) -> IO[Any] | None:
        return locks.try_lock(self._folder / "locks" / f"{number:04d}")

    def _claim(self, number: int, lock: IO[Any]) -> Claim:
        study = self._storage.get_study_id_from_name(NAME)
        optuna_trial = optuna.trial.Trial(
            self._study, self._storage.get_trial_id_from_study_id_trial_number(study, number)
        )
        # Values that the trial has stay; those that a killed command had not drawn yet are drawn now.
        params = {key: values.suggest(optuna_trial, key) for key, values in self._plan.ranges.items()}
        return Claim(number, params, optuna_trial, lock, len(self._read(number).intermediate_values))

    def _read(self, number: int) -> FrozenTrial:
        return next(trial for trial in self._study.get_trials(deepcopy=False) if trial.number == number)

    def _to_trial(self, trial: FrozenTrial) -> Trial:
        attributes = trial.user_attrs
        reported = sorted(trial.intermediate_values.items())
        curve = [
            (self._plan.images(trial.params, step), kid)
            for step, (_, kid) in zip(attributes.get("steps", []), reported, strict=False)
        ]
        kid = Estimate(*attributes["kid"]) if "kid" in attributes else None
        if kid is None and (values := [kid for _, kid in curve if math.isfinite(kid)]):
            kid = Estimate(min(values), math.nan, math.nan)
        return Trial(
            number=trial.number,
            state=_STATES[trial.state],
            params=trial.params or trial.system_attrs.get("fixed_params", {}),
            kid=kid,
            step=attributes.get("step"),
            seconds=attributes.get("seconds"),
            reason=attributes.get("reason", ""),
            curve=curve,
        )


def _sampler(number: int) -> optuna.samplers.TPESampler:
    """Return the sampler of one trial, seeded by its number: a command that goes on does not draw the same again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(n_startup_trials=N_RANDOM_TRIALS, seed=number, constant_liar=True)
