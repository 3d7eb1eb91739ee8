"""What a study tunes: a config, the ranges of some of its keys, and how a trial becomes flags."""

import json
import pathlib
import shlex
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.tune.search_space import Choice, Span

ADVISED_EVALUATIONS = 8  # of a trial, in the advice of an error
TRAIN = (sys.executable, "-m", "logogan_jax.main")


class Plan(NamedTuple):
    """A config as it is tuned.

    `base` is the flat config {dotted key: value}, `overrides` the part of it that the command line set,
    `ranges` {key: Choice or Span}, and `train` the command that trains.
    """

    file: str
    base: dict[str, Any]
    overrides: dict[str, Any]
    ranges: dict[str, Choice | Span]
    train: tuple[str, ...] = TRAIN

    @property
    def metric(self) -> str:
        """The name of the kernel distance, by which trials are compared."""
        return "kid_" + self.base["evaluate.features"].split(":")[0]

    @property
    def evaluations(self) -> int:
        """The number of evaluations of a trial: one per `evaluate.every_images` images, and one at its end."""
        images = self.base["train.steps"] * self.base["train.batch_size"]
        return -(-images // self.base["evaluate.every_images"])

    @property
    def initial_params(self) -> dict[str, Any]:
        """The values of the tuned keys in the config as it is."""
        return {key: self.base[key] for key in self.ranges}

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return {key: value} to set on top of the config file for a trial's values of the tuned keys.

        All trials see the same number of images: the steps follow the batch size, unless they are tuned themselves.
        """
        changed = {key: self._rounded(key, value) for key, value in params.items() if value != self.base[key]}
        if "train.steps" not in params and "train.batch_size" in changed:
            images = self.base["train.steps"] * self.base["train.batch_size"]
            changed["train.steps"] = max(1, round(images / changed["train.batch_size"]))
        return {**self.overrides, **changed}

    def _rounded(self, key: str, value: Any) -> Any:
        """Return a drawn value with four digits, which a person can read and type, within its range."""
        values = self.ranges[key]
        if isinstance(values, Choice) or not isinstance(value, float):
            return value
        return min(max(float(f"{value:.4g}"), values.low), values.high)

    def images(self, params: Mapping[str, Any], step: int) -> int:
        """Return how many images the generator has made at a step of a trial."""
        return step * params.get("train.batch_size", self.base["train.batch_size"])

    def command(self, params: Mapping[str, Any], workdir: pathlib.Path | str) -> list[str]:
        """Return the arguments of the run of a trial in a folder."""
        # A study has many runs, and each goes on from its newest checkpoint alone.
        keep = {} if "report.keep" in self.overrides else {"report.keep": 1}
        return [*self.train, *self._flags({**self.settings(params), **keep}, workdir)]

    def shell_command(self, params: Mapping[str, Any], workdir: pathlib.Path | str, separator: str = " ") -> str:
        """Return the command by which a person trains with a trial's values, its flags joined by `separator`."""
        arguments = map(shlex.quote, self._flags(self.settings(params), workdir))
        return separator.join(["python -m logogan_jax.main", *arguments])

    def _flags(self, settings: Mapping[str, Any], workdir: pathlib.Path | str) -> list[str]:
        keys = [f"--config.{key}={_to_text(value)}" for key, value in settings.items()]
        return [f"--config={self.file}", *keys, f"--workdir={workdir}"]


def check(plan: Plan) -> None:
    """Raise a UserError if the trials of a plan would have no KID, or too few to be stopped early."""
    period = plan.base["evaluate.every_images"]
    images = plan.base["train.steps"] * plan.base["train.batch_size"]
    advice = f"set --config.evaluate.every_images={max(1, images // ADVISED_EVALUATIONS)}"
    if period < 1:
        raise UserError(f"config.evaluate.every_images is {period}, but trials are compared by evaluations: {advice}")
    if plan.evaluations < 2:
        raise UserError(
            f"config.evaluate.every_images is {period:,}, so a run of {images:,} images is evaluated at its end alone, "
            f"too late to stop a bad one: {advice}"
        )
    if not plan.base["data.held_out"] > 0:
        raise UserError("config.data.held_out is 0, but trials are compared by held-out images: set it to 0.1")


def save_or_compare(plan: Plan, path: pathlib.Path) -> None:
    """Write a plan to the study's file, or raise a UserError that names how it differs from the one there."""
    new = json.loads(files.to_json(_to_dict(plan)))
    if not path.exists():
        files.write_json(path, new)
        return
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(name, old[name], new[name]) for name in ("config", "ranges")]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is not a study's ({error!r}): choose another --workdir") from None
    for name, before, now in pairs:
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                subject = f"config.{key}" if name == "config" else f"the range of {key}"
                raise UserError(
                    f"{subject} is {now.get(key)!r}, but the study in {path.parent} was started with "
                    f"{before.get(key)!r}: give the old one to go on with it, or another --workdir"
                )


def _to_dict(plan: Plan) -> dict[str, Any]:
    """Return what must be the same when a study goes on; what is reported may change."""
    config = {key: value for key, value in plan.base.items() if not key.startswith("report.")}
    return {"file": plan.file, "config": config, "ranges": plan.ranges}


def _to_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
