"""Which names a label can have: those that one line of text can hold, as TensorFlow Datasets keeps them."""

import sys
from collections.abc import Iterable

from logogan_jax.core.errors import UserError


def check(labels: Iterable[str]) -> None:
    """Raise UserError if TensorFlow Datasets would read another label than the one that is written."""
    for label in labels:
        problem = _problem(label)
        if problem:
            raise UserError(
                f"the label {label!r} {problem}, so it is no line of text: rename its folder, or use --labels=none"
            )


def _problem(label: str) -> str | None:
    if not label.strip():
        return "is only space"
    if label != label.strip():
        return "begins or ends with space"
    if "\n" in label or "\r" in label:
        return "holds a line break"
    try:
        label.encode()
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        if encoding != "utf-8":  # a program that calls a tool; the tools' own commands read names as UTF-8
            return f"is read as {encoding} in this locale (PYTHONUTF8=1 makes it UTF-8)"
        return "is not UTF-8"
    return None
