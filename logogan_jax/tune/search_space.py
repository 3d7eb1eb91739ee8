"""The values that tuning may try for a key of a config.

A config file declares its ranges beside get_config(), and they replace the table below:

    from logogan_jax.tune.search_space import choice, even, log

    def ranges():
        return {"optimizer.critic.learning_rate": log(1e-5, 1e-3), "model.kernel": choice(4, 5, 6)}
"""

import difflib
import fnmatch
import pathlib
import runpy
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from logogan_jax.core.errors import UserError

# Keys that change what is measured or how, so that trials could no longer be compared, and the seed, of which
# the best would only be the luckiest.
_NOT_TUNED = ("data.dir", "data.size", "data.channels", "data.held_out", "train.seed", "report.*", "evaluate.*")


class Suggester(Protocol):
    """What draws values: an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Draw one of `choices`."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Draw a whole number."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number."""
        ...


class Choice(NamedTuple):
    """One of some values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Suggester, key: str) -> Any:
        """Return the value of an Optuna trial, which is drawn if the trial has none."""
        return trial.suggest_categorical(key, self.values)

    def contains(self, value: Any) -> bool:
        """Return whether the value is among them."""
        return value in self.values


class Span(NamedTuple):
    """From `low` to `high`, both included; whole numbers if both are; evenly in the logarithm if `log`."""

    low: float
    high: float
    log: bool

    def suggest(self, trial: Suggester, key: str) -> float:
        """Return the value of an Optuna trial, which is drawn if the trial has none."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def contains(self, value: float) -> bool:
        """Return whether the value lies between them."""
        return self.low <= value <= self.high


def choice(*values: Any) -> Choice:
    """Return the range of one of these values, in no order."""
    return Choice(values)


def even(low: float, high: float) -> Span:
    """Return the range of any number from low to high, whole if both are."""
    return Span(low, high, False)


def log(low: float, high: float) -> Span:
    """Return the same range with equal chances for each doubling."""
    return Span(low, high, True)


# Range around the config's value v, for the keys that it has: rates and weights from a fifth to five times v.
_TABLE = {
    "optimizer.*.learning_rate": lambda v: log(v / 5, v * 5),
    "optimizer.*.b1": lambda v: choice(*sorted({0.0, 0.5, v})),
    "train.batch_size": lambda v: choice(*sorted({max(1, v // 2), v, v * 2})),
    "objective.penalty": lambda v: log(v / 5, v * 5),
    "objective.critic_updates": lambda v: even(1, max(5, v)),
}


def default_ranges(base: Mapping[str, Any]) -> dict[str, Choice | Span]:
    """Return {key: range} from the table for a flat config {dotted key: value}; a weight of 0 stays switched off."""
    return {
        key: make_range(value)
        for pattern, make_range in _TABLE.items()
        for key, value in base.items()
        if fnmatch.fnmatch(key, pattern) and (value or key.endswith(".b1"))
    }


def read_ranges(
    path: pathlib.Path | str, base: Mapping[str, Any], *, fixed: Collection[str]
) -> dict[str, Choice | Span]:
    """Return {key: range} of a config file, or of the table if it declares none, checked against the flat config.

    Keys in `fixed` are given on the command line and have that value in every trial. Raises a UserError that names
    a range that cannot be.
    """
    declare = runpy.run_path(str(path)).get("ranges")
    source = f"ranges() of {path}" if callable(declare) else "the table of ranges"
    declared: Any = declare() if callable(declare) else default_ranges(base)
    checked = {key: _checked(key, values, base, source) for key, values in declared.items()}
    tuned = {key: values for key, values in checked.items() if key not in fixed}
    if not tuned:
        reason = ", all of them given on the command line" if checked else ""
        raise UserError(f"--config={path}: {source} leaves nothing to tune{reason}: declare other keys in ranges()")
    return tuned


def _checked(key: str, values: Any, base: Mapping[str, Any], source: str) -> Choice | Span:
    """Return a range with values of the key's type; raise a UserError if it cannot be."""
    if key not in base:
        near = difflib.get_close_matches(key, base, 1, 0.5)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise UserError(f"{source}: {key!r} is not a key of the config{hint}")
    if any(fnmatch.fnmatch(key, pattern) for pattern in _NOT_TUNED):
        raise UserError(f"{source}: {key!r} cannot be tuned, for its trials could not be compared: leave it out")
    initial = base[key]
    if isinstance(values, Choice) and values.values:
        values = Choice(tuple(_cast(key, value, initial, source) for value in values.values))
    elif isinstance(values, Span):
        values = Span(_cast(key, values.low, initial, source), _cast(key, values.high, initial, source), values.log)
        if not values.low < values.high or (values.log and values.low <= 0):
            above = " and above 0" if values.log else ""
            raise UserError(f"{source}: {key!r} goes from {values.low} to {values.high}: it should be upwards{above}")
    else:
        raise UserError(f"{source}: {key!r} is {values!r}: it should be choice(...), even(low, high) or log(low, high)")
    if not values.contains(initial):
        raise UserError(
            f"{source}: {key!r} leaves out {initial!r}, the config's own value, with which the first trial starts: "
            f"widen the range, or change the value"
        )
    return values


def _cast(key: str, value: Any, initial: Any, source: str) -> Any:
    """Return a value of a range with the type that the key has in the config."""
    if isinstance(initial, float) and type(value) is int:
        return float(value)
    if type(value) is not type(initial):
        raise UserError(
            f"{source}: {key!r} may be {value!r}, but in the config it is {initial!r}, another kind of value"
        )
    return value
