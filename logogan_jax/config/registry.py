"""Names and plain values become things; a name that is not there or a value that does not fit is the user's mistake."""

import inspect

from logogan_jax.core.errors import UserError


def choose(table, name, key):
    """The entry of a table, or a UserError that names the config key and every entry."""
    if name not in table:
        raise UserError(f"{key} is {name!r}: it should be one of {', '.join(sorted(table))}")
    return table[name]


def make(table, block, key, **given):
    """What a block of a config describes: its name's entry of a table, called with its other values and `given`."""
    values = dict(block)
    return call(choose(table, values.pop("name", None), f"{key}.name"), key, values, **given)


def call(function, key, values, **given):
    """Call with a block's values, all of which it must take, and with those `given` from elsewhere that it takes."""
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


def parameters(function):
    """The parameters of a function, or of a class's instances, by name."""
    found = dict(inspect.signature(function.__init__ if isinstance(function, type) else function).parameters)
    found.pop("self", None)
    return found
