"""Where things that can be made again are kept: embedded data, compiled programs."""

import os
import pathlib


def folder(*parts):
    """A path below $LOGOGAN_CACHE, or below logogan_jax in the user's cache folder; not created."""
    root = os.environ.get("LOGOGAN_CACHE")
    if not root:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        root = pathlib.Path(home) / "logogan_jax"
    return pathlib.Path(root).joinpath(*parts)
