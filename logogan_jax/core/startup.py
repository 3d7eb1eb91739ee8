"""What stops a command before it can read its flags, in one line: a system or a setting that it cannot work with."""

import os
import pathlib
import re
import sys
from types import TracebackType


def check_system() -> None:
    """End a command in one line on a system without file locks, and let it do so where JAX refuses a setting.

    A command of ours takes names of files for UTF-8, whatever the locale.

    Raises ImportError where a program imports the package on such a system.
    """
    try:
        import fcntl  # noqa: F401 - is it there?
    except ImportError:
        line = (
            f"logogan_jax needs Linux or macOS, and this is {sys.platform}: on Windows, run it in WSL 2 (see README.md)"
        )
        if not _is_command():
            raise ImportError(line) from None
        _end(line)
    if _is_command():
        _enter_utf8_mode()
        sys.excepthook = _report_jax_setting


def _is_command() -> bool:
    """Return whether this process is one of our commands that is being started."""
    name = sys.argv[0] if sys.argv else ""
    return name == "-m" or pathlib.Path(name).name.startswith("logogan-")


def _enter_utf8_mode() -> None:
    """Start the command anew where Python takes names of files for ASCII or Latin-1: labels would be others."""
    if sys.getfilesystemencoding() != "utf-8" and sys.executable:
        words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execve(sys.executable, words, {**os.environ, "PYTHONUTF8": "1"})  # which its own processes inherit


def _report_jax_setting(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report a variable of the environment that JAX refuses when it is imported."""
    found = re.search(r"\bjax_\w+", str(error), re.IGNORECASE)
    name = found[0].upper() if found else ""
    if not (issubclass(kind, ValueError) and name in os.environ):
        return sys.__excepthook__(kind, error, trace)
    _end(f"{name}={os.environ[name]} is refused by JAX ({' '.join(str(error).split())}): correct it, or unset it")


def _end(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)
    os._exit(2)
