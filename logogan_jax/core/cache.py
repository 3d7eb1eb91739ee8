"""The folder for what can be made again: embedded data, features, compiled programs, copies of buckets."""

import atexit
import functools
import os
import pathlib
import shutil
import sys
import tempfile

from logogan_jax.core import files
from logogan_jax.core.errors import UserError

ADVICE = "set LOGOGAN_CACHE to a folder that can be written"


def path(*parts: str) -> pathlib.Path:
    """Return a path below $LOGOGAN_CACHE, or below logogan_jax in the user's cache folder.

    Where the user has no home, or one that cannot be written, it is a path in a temporary folder of this process, and
    a warning says so.
    """
    root = os.environ.get("LOGOGAN_CACHE")
    if root:
        return files.expand(root).joinpath(*parts)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return _default_root(home).joinpath(*parts)


def make_folder(*parts: str) -> pathlib.Path:
    """Return a path as `path` does, of a folder that is there and can be written; UserError if that cannot be."""
    folder = path(*parts)
    try:
        _require_writable(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): {ADVICE}") from None
    return folder


@functools.cache
def warn(reason: str) -> None:
    """Say, once for each reason, that the cache cannot keep what was computed."""
    print(f"warning: the cache is not used ({reason}): {ADVICE}", file=sys.stderr, flush=True)


def enable_compilation_cache() -> None:
    """Let JAX keep compiled programs, small ones too, below the cache folder, unless the user has said where."""
    import jax

    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = path("compiled")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warn(f"{folder}: {error.strerror}")
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@functools.cache
def _default_root(home: str) -> pathlib.Path:
    root = pathlib.Path(home) / "logogan_jax"
    reason = "this user has no home folder"
    if not home.startswith("~"):  # which only a home folder that is not known leaves there
        try:
            _require_writable(root)
            return root
        except OSError as error:
            reason = f"{root}: {error.strerror}"
    warn(reason)
    folder = tempfile.mkdtemp(prefix="logogan_jax-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


def _require_writable(folder: pathlib.Path) -> None:
    """Make a folder if it is missing; raise an OSError if it is not there then, or cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    files.try_to_write(folder)
