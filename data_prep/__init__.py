"""Command-line tools that turn logos of any kind into TFRecord shards."""

import os
import sys

from logogan_jax.core.installation import install_command

# Packages that only some tools need, and the extras that bring them.
_EXTRAS = {"apache_beam": "beam", "h5py": "prep", "httpcore": "prep", "httpx": "prep", "scrapy": "prep"}


def _missing(kind, error, trace):
    """Tell of a package that a tool needs in one line, as of everything that a user can mend."""
    extra = _EXTRAS.get(getattr(error, "name", None))
    if not (issubclass(kind, ModuleNotFoundError) and extra):
        return sys.__excepthook__(kind, error, trace)
    print(f"error: this tool needs {error.name}: {install_command(extra)}", file=sys.stderr, flush=True)
    os._exit(2)


if sys.argv[:1] == ["-m"]:  # a tool is being started, which has not got to its own error reporting yet
    sys.excepthook = _missing
