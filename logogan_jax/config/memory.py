"""What to make smaller where memory is not enough."""

import contextlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from logogan_jax.core import errors
from logogan_jax.core.errors import UserError


@contextlib.contextmanager
def name_settings(config: ConfigDict) -> Iterator[None]:
    """Turn an error for want of memory into a UserError that names the values of the config which decide its need."""
    try:
        yield
    except Exception as error:
        if not errors.is_out_of_memory(error):
            raise
        raise UserError(describe(config)) from error


def describe(config: ConfigDict) -> str:
    """Return one line with the values that decide how much memory training needs, and a command that needs less."""
    data = config.data
    width = f" and config.data.width {data.width}" if data.width else ""
    batch_size = config.train.batch_size
    advice = (
        f"use --config.train.batch_size={batch_size // 2} in another --workdir"
        if batch_size > 1
        else "use a smaller model"
    )
    return (
        f"the memory is full with config.train.batch_size {batch_size}, config.model.width {config.model.get('width')} "
        f"and config.data.size {data.size}{width}: {advice}, smaller values of the others, or a device with more memory"
    )
