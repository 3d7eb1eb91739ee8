"""The trials of a study, in Optuna's journal, shared by all who tune in the same folder.

A trial belongs to whoever holds the lock of its number. A lock ends with its holder, so what a killed
command left unfinished is taken up by the next one, with the same values.
"""

import math
import warnings
from typing import Any, NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from logogan_jax.core import files
from logogan_jax.core.intervals import Estimate
from logogan_jax.tune import journal_lock
from logogan_jax.tune.trial import Trial

NAME = "logogan_jax"
N_RANDOM_TRIALS = 10  # trials whose values are drawn at random before the estimator takes over
MIN_FINISHED_TO_PRUNE = 5  # finished trials before any is stopped early
MIN_FINISHED_FOR_IMPORTANCE = 20  # finished trials from which on it is told what matters
WARM_UP_PARTS = 4  # nothing is stopped in the first of so many parts of a run
_STATES = {
    TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
}  # fmt: skip


class Claim(NamedTuple):
    """A trial that is ours: its values, how many evaluations the journal has of it, and the lock that says so.

    `judged` are the evaluations that were judged since it was claimed.
    """

    number: int
    params: dict[str, Any]
    optuna_trial: Any
    lock: Any
    reported: int
    judged: int = 0


class Study:
    """The trials of a plan in a folder; the first is the config as it is."""

    def __init__(self, folder, plan):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._folder, self._plan = folder, plan
        (folder / "locks").mkdir(exist_ok=True)
        journal = str(folder / "journal.jsonl")
        with self.exclusive():
            self._storage = JournalStorage(JournalFileBackend(journal, lock_obj=journal_lock.JournalLock(journal)))
            pruner = optuna.pruners.MedianPruner(MIN_FINISHED_TO_PRUNE, max(1, plan.evaluations // WARM_UP_PARTS))
            self._study = optuna.create_study(
                storage=self._storage, study_name=NAME, load_if_exists=True, pruner=pruner, direction="minimize"
            )
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(plan.initial_params)

    def exclusive(self):
        """A block during which no other command draws a trial or writes a report in the folder."""
        return journal_lock.hold_lock(self._folder / "locks" / "study")

    def claim(self, total):
        """The next Claim: one that was left unfinished, or a new one while there are fewer than `total`; or None."""
        with self.exclusive():
            trials = self._study.get_trials(deepcopy=False)
            for number in [trial.number for trial in trials if trial.state == TrialState.RUNNING]:
                lock = self._taken(number)
                # It may have ended after it was listed and before its lock was free.
                if lock and self._now(number).state == TrialState.RUNNING:
                    return self._claim(number, lock)
                if lock:
                    lock.close()
            if len(trials) >= total and not any(trial.state == TrialState.WAITING for trial in trials):
                return None
            self._study.sampler = _sampler(len(trials))
            number = self._study.ask().number
            return self._claim(number, self._taken(number))

    def is_complete(self, total):
        """True once `total` trials have ended."""
        trials = self._study.get_trials(deepcopy=False)
        return len(trials) >= total and all(trial.state.is_finished() for trial in trials)

    def report_evaluations(self, claim, found):
        """Record [(step, KID)], all evaluations of a claimed trial so far -> (Claim, True if it should be stopped)."""
        if len(found) <= claim.judged:
            return claim, False
        for number, (_, kid) in enumerate(found[claim.reported :], claim.reported + 1):
            claim.optuna_trial.report(kid, number)
        claim.optuna_trial.set_user_attr("steps", [step for step, _ in found])
        claim = claim._replace(judged=len(found), reported=max(len(found), claim.reported))
        return claim, claim.reported < self._plan.evaluations and claim.optuna_trial.should_prune()

    def record_outcome(self, claim, outcome):
        """Record how a claimed trial ended, and give up the claim."""
        notes = {"kid": outcome.kid and list(outcome.kid), "step": outcome.step}
        notes |= {"seconds": outcome.seconds, "reason": outcome.reason}
        for name, value in notes.items():
            if value is not None:
                claim.optuna_trial.set_user_attr(name, value)
        if outcome.state == "finished":
            self._study.tell(claim.number, outcome.kid.value)
        else:
            self._study.tell(claim.number, state=TrialState.PRUNED if outcome.state == "pruned" else TrialState.FAIL)
        claim.lock.close()

    def trials(self):
        """[Trial] in order of their numbers."""
        return [self._trial(trial) for trial in self._study.get_trials(deepcopy=False)]

    def param_importance(self):
        """{key: share of the differences in KID that it explains}, most first; {} while trials are few."""
        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(finished) < MIN_FINISHED_FOR_IMPORTANCE:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubts that the report words itself
            # The better half: of Optuna's own better tenth, twenty trials have two.
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
            return optuna.importance.get_param_importances(self._study, evaluator=evaluator)

    def _taken(self, number):
        return files.try_lock(self._folder / "locks" / f"{number:04d}")

    def _claim(self, number, lock):
        storage = self._storage
        study = storage.get_study_id_from_name(NAME)
        optuna_trial = optuna.trial.Trial(self._study, storage.get_trial_id_from_study_id_trial_number(study, number))
        # What the trial has is given back; what a command killed while drawing had not drawn is drawn now.
        params = {key: each.suggest(optuna_trial, key) for key, each in self._plan.ranges.items()}
        return Claim(number, params, optuna_trial, lock, len(self._now(number).intermediate_values))

    def _now(self, number):
        return next(trial for trial in self._study.get_trials(deepcopy=False) if trial.number == number)

    def _trial(self, trial):
        notes, reported = trial.user_attrs, sorted(trial.intermediate_values.items())
        curve = [
            (self._plan.images(trial.params, step), kid)
            for step, (_, kid) in zip(notes.get("steps", []), reported, strict=False)
        ]
        kid = Estimate(*notes["kid"]) if "kid" in notes else None
        if kid is None and (values := [kid for _, kid in curve if math.isfinite(kid)]):
            kid = Estimate(min(values), math.nan, math.nan)
        return Trial(
            trial.number, _STATES[trial.state], trial.params or trial.system_attrs.get("fixed_params", {}), kid,
            notes.get("step"), notes.get("seconds"), notes.get("reason", ""), curve,
        )  # fmt: skip


def _sampler(number):
    """The sampler of one trial: seeded by its number, so that a command that goes on does not draw the same again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(n_startup_trials=N_RANDOM_TRIALS, seed=number, constant_liar=True)
