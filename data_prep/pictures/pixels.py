"""Images as one array, for those who measure them."""

import functools
import io

import numpy as np
from PIL import Image

from data_prep import pool
from data_prep.pictures import convert
from logogan_jax.core import progress


def load_pixels(items, spec):
    """(uint8[n, H, W, C] of the Items that can be read, in their order, [(name, reason)] of the rest)."""
    found, rejected = [], []
    work = functools.partial(convert.convert, spec=spec)
    listed = list(items)
    with progress.Bar("reading", len(listed)) as bar, pool.map_ordered(work, listed) as outcomes:
        for number, (item, outcome) in enumerate(zip(listed, outcomes, strict=True), 1):
            if outcome.reason:
                rejected.append((item.name, outcome.reason))
            else:
                with Image.open(io.BytesIO(outcome.png)) as image:
                    found.append(np.asarray(image).reshape(spec.shape))
            bar.update(number)
    return np.stack(found) if found else np.zeros((0, *spec.shape), np.uint8), rejected
