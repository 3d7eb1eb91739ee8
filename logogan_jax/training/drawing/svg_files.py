"""Pictures as SVG files, traced in processes of their own."""

import pathlib
from collections.abc import Iterable, Sequence

from data_prep import pool
from data_prep.pictures import trace
from data_prep.pictures.trace import Regions
from logogan_jax.core import files
from logogan_jax.core.errors import UserError


def write(folder: pathlib.Path, names: Sequence[str], pictures: Iterable[Regions]) -> None:
    """Trace pictures and write them as SVG under names without their ending.

    Raises:
        UserError: if a picture cannot be traced.
    """
    # A process takes a while to start: for a few pictures there are few.
    workers = min(pool.default_workers(), -(-len(names) // pool.CHUNK))
    # In processes of their own, which the native tracer may bring down.
    with pool.map_ordered(trace.to_svg, pictures, workers=workers) as drawings:
        for name, drawing in zip(names, drawings, strict=True):
            if isinstance(drawing, pool.Failed):
                raise UserError(f"{name}.svg cannot be traced ({drawing.reason}): leave the picture, or --format=png")
            with files.atomic_write(folder / f"{name}.svg") as partial:
                partial.write_text(drawing, encoding="utf-8")
