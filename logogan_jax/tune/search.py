"""What a study tunes: a config, the ranges of some of its keys, and how a trial becomes flags."""

import json
import shlex
import sys
from typing import Any, NamedTuple

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.tune.search_space import Choice

ADVISED = 8  # evaluations that a message advises
TRAIN = (sys.executable, "-m", "logogan_jax.main")


class Plan(NamedTuple):
    """A config as it is tuned.

    `base` is the flat config {dotted key: value}, `overrides` the part of it that the command line set,
    `ranges` {key: Choice or Span}, and `train` the command that trains.
    """

    file: str
    base: dict[str, Any]
    overrides: dict[str, Any]
    ranges: dict[str, Any]
    train: tuple[str, ...] = TRAIN

    @property
    def metric(self):
        """The name of the kernel distance, by which trials are judged."""
        return "kid_" + self.base["evaluate.features"].split(":")[0]

    @property
    def evaluations(self):
        """How many a trial will have: one every so many images, and one at its end."""
        images = self.base["train.steps"] * self.base["train.batch_size"]
        return -(-images // self.base["evaluate.every_images"])

    @property
    def initial_params(self):
        """The values of the tuned keys in the config as it is."""
        return {key: self.base[key] for key in self.ranges}

    def settings(self, params):
        """{key: value} to set on top of the config file for a trial's values of the tuned keys.

        All trials see as many images: the steps follow the batch size, unless they are tuned themselves.
        """
        changed = {key: self._rounded(key, value) for key, value in params.items() if value != self.base[key]}
        steps, batch = self.base["train.steps"], self.base["train.batch_size"]
        if "train.steps" not in params and "train.batch_size" in changed:
            changed["train.steps"] = max(1, round(steps * batch / changed["train.batch_size"]))
        return {**self.overrides, **changed}

    def _rounded(self, key, value):
        """A drawn value with digits that a person can read and repeat, within its range."""
        each = self.ranges[key]
        if isinstance(each, Choice) or not isinstance(value, float):
            return value
        return min(max(float(f"{value:.4g}"), each.low), each.high)

    def images(self, params, step):
        """Images that the generator has made at a step of a trial."""
        return step * params.get("train.batch_size", self.base["train.batch_size"])

    def command(self, params, workdir):
        """The arguments of the run of a trial in a folder."""
        quiet = (
            {} if "report.keep" in self.overrides else {"report.keep": 1}
        )  # a study has many runs, and one is resumed
        return [*self.train, *self._flags({**self.settings(params), **quiet}, workdir)]

    def shell_command(self, params, workdir, separator=" "):
        """The command for a person who trains with a trial's values; what stands between its flags."""
        given = map(shlex.quote, self._flags(self.settings(params), workdir))
        return separator.join(["python -m logogan_jax.main", *given])

    def _flags(self, settings, workdir):
        keys = [f"--config.{key}={_text(value)}" for key, value in settings.items()]
        return [f"--config={self.file}", *keys, f"--workdir={workdir}"]


def check(plan):
    """Raise a UserError if the trials of a plan would have no KID, or too few to be stopped early."""
    every, images = plan.base["evaluate.every_images"], plan.base["train.steps"] * plan.base["train.batch_size"]
    advice = f"set --config.evaluate.every_images={max(1, images // ADVISED)}"
    if every < 1:
        raise UserError(f"config.evaluate.every_images is {every}, but trials are judged by evaluations: {advice}")
    if plan.evaluations < 2:
        raise UserError(
            f"config.evaluate.every_images is {every:,}, so a run of {images:,} images is judged at its end alone, "
            f"too late to stop a bad one: {advice}"
        )
    if not plan.base["data.held_out"] > 0:
        raise UserError("config.data.held_out is 0, but trials are judged against held-out images: set it to 0.1")


def save_or_compare(plan, path):
    """Write a plan to the study's file, or raise a UserError that names how it differs from the one there."""
    new = json.loads(files.to_json(_plain(plan)))
    if not path.exists():
        files.write_json(path, new)
        return
    try:
        old = json.loads(path.read_text())
        pairs = [(name, old[name], new[name]) for name in ("config", "ranges")]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is not a study's ({error!r}): choose another --workdir") from None
    for name, before, now in pairs:
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                what = f"config.{key}" if name == "config" else f"the range of {key}"
                raise UserError(
                    f"{what} is {now.get(key)!r}, but the study in {path.parent} was started with "
                    f"{before.get(key)!r}: give the old one to go on with it, or another --workdir"
                )


def _plain(plan):
    kept = {key: value for key, value in plan.base.items() if not key.startswith("report.")}
    return {"file": plan.file, "config": kept, "ranges": plan.ranges}


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)
