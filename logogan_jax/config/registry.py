"""From names and plain values to the things they describe; what does not fit is an error of the user."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ml_collections import ConfigDict

from logogan_jax.core.errors import UserError

Entry = TypeVar("Entry")


def lookup(table: Mapping[str, Entry], name: Any, key: str) -> Entry:
    """Return the entry of a table; a UserError names the config key and every entry."""
    if name not in table:
        raise UserError(f"{key} is {name!r}: it should be one of {', '.join(sorted(table))}")
    return table[name]


def from_config(table: Mapping[str, Callable[..., Entry]], block: ConfigDict, key: str, **given: Any) -> Entry:
    """Return what a block of a config describes.

    The block's name selects an entry of the table, which is called with the block's other values and with `given`.
    """
    values = dict(block)
    entry = lookup(table, values.pop("name", None), f"{key}.name")
    return call_checked(entry, key, values, **given)


def call_checked(function: Callable[..., Entry], key: str, values: Mapping[str, Any], **given: Any) -> Entry:
    """Call a function with the values of a config block, all of which it must take.

    Of what is `given` from elsewhere it gets what it takes. A UserError names the key that it does not take or lacks.
    """
    known = parameters(function)
    for name in values:
        if name in given or name not in known:
            takes = ", ".join(name for name in known if name not in given)
            raise UserError(f"{key}.{name} is not a value of {function.__name__}, which takes: {takes}")
    given = {name: value for name, value in given.items() if name in known}
    missing = [name for name, p in known.items() if p.default is p.empty and name not in {**values, **given}]
    if missing:
        raise UserError(f"{key}.{missing[0]} is missing: {function.__name__} needs it")
    return function(**values, **given)


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, or those that make an instance of a class, by name."""
    signature = inspect.signature(function.__init__ if isinstance(function, type) else function)
    return {name: parameter for name, parameter in signature.parameters.items() if name != "self"}
