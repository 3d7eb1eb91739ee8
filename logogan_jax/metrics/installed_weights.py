"""Files of weights that other packages bring."""

import importlib.util
import pathlib

from logogan_jax.core.errors import UserError


def find(key: str, network: str, package: str, file: str, install: str) -> pathlib.Path:
    """Return the path of a file in an installed package, without an import of the package.

    Raises UserError if it is not installed; it names the flag or config key `key`, the network and how to install it.
    """
    found = importlib.util.find_spec(package)
    folders = found.submodule_search_locations if found else None
    path = pathlib.Path(folders[0]) / file if folders else None
    if not path or not path.is_file():
        raise UserError(f"{key} is {network}, whose weights are not installed: run {install}")
    return path
