"""The configs that ship with the package, for configs that start from one of them."""

import runpy

from ml_collections import ConfigDict

from logogan_jax.core import installation


def get_config(name: str) -> ConfigDict:
    """Return a new copy of the config in configs/NAME.py.

    A config file is found by its path and not imported by its name, because the folder is `configs` in a checkout and
    `logogan_jax.configs` in a wheel.
    """
    return runpy.run_path(str(installation.shipped_path(f"configs/{name}.py")))["get_config"]()
