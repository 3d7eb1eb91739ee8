"""Files that appear under their name whole or not at all."""

import contextlib
import json
import os
import pathlib


@contextlib.contextmanager
def whole(path):
    """A hidden path to write to, moved to `path` when the block ends well and removed when it does not."""
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, value):
    """Write a value as indented JSON."""
    with whole(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n")
