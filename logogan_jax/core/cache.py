"""The folder for what can be made again: embedded data, features, compiled programs, copies of buckets."""

import os
import pathlib


def path(*parts: str) -> pathlib.Path:
    """Return a path below $LOGOGAN_CACHE, or below logogan_jax in the user's cache folder; nothing is created."""
    root = os.environ.get("LOGOGAN_CACHE")
    if not root:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        root = pathlib.Path(home) / "logogan_jax"
    return pathlib.Path(root).joinpath(*parts)


def enable_compilation_cache() -> None:
    """Let JAX keep compiled programs, small ones too, below the cache folder, unless the user has said where."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(path("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
