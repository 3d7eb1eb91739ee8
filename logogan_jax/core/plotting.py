"""Matplotlib as it comes: neither the environment nor the settings of a user decide whether a plot can be drawn."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

# The first names a backend, which may belong to a notebook and be missing here; the second a file of settings.
_VARIABLES = ("MPLBACKEND", "MATPLOTLIBRC")


@contextlib.contextmanager
def default_style(changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Draw what the block draws in Matplotlib's own style, with changes to its rcParams."""
    matplotlib = _import_matplotlib()
    # The backend stays: a notebook shows its own figures by it.
    style = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context({**style, **(changes or {})}):
        yield


def _import_matplotlib() -> ModuleType:
    # Imported here, because the import takes half a second, which the first step need not wait for.
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    hidden = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
    try:
        import matplotlib
    finally:
        os.environ.update(hidden)
    return matplotlib
