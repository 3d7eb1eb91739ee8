"""The values that tuning may try for a key of a config.

A config file declares its own beside get_config(), which replace the table below:

    from logogan_jax.tune.search_space import choice, even, log

    def ranges():
        return {"optimizer.critic.learning_rate": log(1e-5, 1e-3), "model.kernel": choice(4, 5, 6)}
"""

import difflib
import fnmatch
import runpy
from typing import NamedTuple

from logogan_jax.core.errors import UserError

# Keys that change what is measured or how, so that trials could no longer be compared, and the seed, of which
# the best would only be the luckiest.
_NOT_TUNED = ("data.dir", "data.size", "data.channels", "data.held_out", "train.seed", "report.*", "evaluate.*")


class Choice(NamedTuple):
    """One of some values."""

    values: tuple

    def suggest(self, trial, key):
        """The value of an Optuna trial."""
        return trial.suggest_categorical(key, self.values)

    def contains(self, value):
        """True if the value is among them."""
        return value in self.values


class Span(NamedTuple):
    """From `low` to `high`, both included; whole numbers if both are; evenly in the logarithm if `log`."""

    low: float
    high: float
    log: bool

    def suggest(self, trial, key):
        """The value of an Optuna trial."""
        suggest = trial.suggest_int if isinstance(self.low, int) else trial.suggest_float
        return suggest(key, self.low, self.high, log=self.log)

    def contains(self, value):
        """True if the value lies between them."""
        return self.low <= value <= self.high


def choice(*values):
    """One of these values, in no order."""
    return Choice(values)


def even(low, high):
    """Any number from low to high, whole if both are."""
    return Span(low, high, False)


def log(low, high):
    """As even(), each doubling as likely as the next."""
    return Span(low, high, True)


# Around the config's own value v, for the keys that it has: to a fifth and to five times of what is a rate or a weight.
_TABLE = {
    "optimizer.*.learning_rate": lambda v: log(v / 5, v * 5),
    "optimizer.*.b1": lambda v: choice(*sorted({0.0, 0.5, v})),
    "train.batch_size": lambda v: choice(*sorted({max(1, v // 2), v, v * 2})),
    "objective.penalty": lambda v: log(v / 5, v * 5),
    "objective.critic_updates": lambda v: even(1, max(5, v)),
}


def default_ranges(base):
    """{key: range} from the table, for a flat config {dotted key: value}; what is switched off stays so."""
    return {
        key: around(value)
        for pattern, around in _TABLE.items()
        for key, value in base.items()
        if fnmatch.fnmatch(key, pattern) and (value or key.endswith(".b1"))
    }


def read_ranges(path, base, *, fixed):
    """{key: range} of a config file, or of the table if it declares none, checked against the flat config.

    Keys in `fixed` were given on the command line: every trial has them as given.
    """
    own = runpy.run_path(str(path)).get("ranges")
    found = own() if callable(own) else default_ranges(base)
    source = f"ranges() of {path}" if callable(own) else "the table of ranges"
    checked = {key: _checked(key, each, base, source) for key, each in found.items()}
    left = {key: each for key, each in checked.items() if key not in fixed}
    if not left:
        given = ", all of them given on the command line" if checked else ""
        raise UserError(f"--config={path}: {source} leaves nothing to tune{given}: declare other keys in ranges()")
    return left


def _checked(key, each, base, source):
    if key not in base:
        near = difflib.get_close_matches(key, base, 1, 0.5)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{source}: {key!r} is not a key of the config{hint}")
    if any(fnmatch.fnmatch(key, pattern) for pattern in _NOT_TUNED):
        raise UserError(f"{source}: {key!r} cannot be tuned, for its trials could not be compared: leave it out")
    own = base[key]
    if isinstance(each, Choice) and each.values:
        each = Choice(tuple(_cast(key, value, own, source) for value in each.values))
    elif isinstance(each, Span):
        each = Span(_cast(key, each.low, own, source), _cast(key, each.high, own, source), each.log)
        if not each.low < each.high or (each.log and each.low <= 0):
            above = " and above 0" if each.log else ""
            raise UserError(f"{source}: {key!r} goes from {each.low} to {each.high}: it should be upwards{above}")
    else:
        raise UserError(f"{source}: {key!r} is {each!r}: it should be choice(...), even(low, high) or log(low, high)")
    if not each.contains(own):
        raise UserError(
            f"{source}: {key!r} leaves out {own!r}, the config's own value, with which the first trial starts: "
            f"widen the range, or change the value"
        )
    return each


def _cast(key, value, own, source):
    """A value of a range with the type that the key has in the config."""
    if isinstance(own, float) and type(value) is int:
        return float(value)
    if type(value) is not type(own):
        raise UserError(f"{source}: {key!r} may be {value!r}, but in the config it is {own!r}, another kind of value")
    return value
