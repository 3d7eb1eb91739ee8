"""Command-line tools that turn logos of any kind into TFRecord shards."""

import os
import sys
from types import TracebackType

from logogan_jax.core.installation import install_command

# Packages that only some tools need, and the extras that bring them.
_EXTRAS = {"apache_beam": "beam", "h5py": "prep", "httpcore": "prep", "httpx": "prep", "scrapy": "prep"}


def _report_missing_package(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report a package that a tool needs in one line, like every error that a user can correct."""
    package = str(getattr(error, "name", None))
    extra = _EXTRAS.get(package)
    if not (issubclass(kind, ModuleNotFoundError) and extra):
        return _report_others(kind, error, trace)
    print(f"error: this tool needs {package}: {install_command(extra)}", file=sys.stderr, flush=True)
    os._exit(2)


_report_others = sys.excepthook
if sys.argv[:1] == ["-m"]:  # a tool is being started, and its own error reporting is not active yet
    sys.excepthook = _report_missing_package
