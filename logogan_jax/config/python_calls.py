"""What calls from Python and from notebooks need beside what commands do."""

import contextlib
import runpy
from collections.abc import Callable, Iterator
from typing import Any

from ml_collections import ConfigDict

from logogan_jax.config import default_dataset
from logogan_jax.config.loaded_run import Pictures, names_of_arguments
from logogan_jax.core import backend, installation
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import multihost
from logogan_jax.training.reporting.run_writer import PICTURES, Callback


def get_config(name: str) -> ConfigDict:
    """Return a new copy of the config of a name or a file; UserError if there is none."""
    with names_of_arguments():
        path = installation.config_path(name)
    try:
        return runpy.run_path(path)["get_config"]()
    except (OSError, KeyError) as error:
        raise UserError(f"config={name} cannot be read ({error!r}): give a file with get_config(), or a name") from None


def with_data(config: ConfigDict | str) -> ConfigDict:
    """Return a config that names its data: the embedded logos where it named none."""
    ready = get_config(config) if isinstance(config, str) else config.copy_and_resolve_references()
    default_dataset.set_default_dataset(ready)
    return ready


def with_pictures(callback: Callback) -> Callable[[int, dict[str, Any]], None]:
    """Return a callback that gets pictures as a notebook shows them, on the first of several processes alone."""

    def call(step: int, values: dict[str, Any]) -> None:
        if multihost.is_primary():
            shown = {name: value.view(Pictures) for name, value in values.items() if name in PICTURES}
            callback(step, values | shown)

    return call


@contextlib.contextmanager
def started() -> Iterator[None]:
    """Start JAX, and let errors name arguments and not the flags of commands: step=5 instead of --step=5."""
    with names_of_arguments():
        backend.start()
        yield
