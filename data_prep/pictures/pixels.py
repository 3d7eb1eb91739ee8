"""Many images as one array, for code that measures them."""

import functools
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from data_prep import pool
from data_prep.pictures import convert
from logogan_jax.core import progress


def load_pixels(items: Iterable[convert.Item], spec: convert.ImageSpec) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Convert images on all cores.

    Returns:
        (pixels uint8[n, H, W, C] of the images that can be read, in their order; (name, reason) of each of the rest)
    """
    images = []
    rejected = []
    items = list(items)
    work = functools.partial(convert.convert, spec=spec)
    with progress.Bar("reading", len(items)) as bar, pool.map_ordered(work, items) as results:
        for number, (item, result) in enumerate(zip(items, results, strict=True), 1):
            if result.reason:
                rejected.append((item.name, result.reason))
            else:
                with Image.open(io.BytesIO(result.png)) as image:
                    images.append(np.asarray(image).reshape(spec.shape))
            bar.update(number)
    return np.stack(images) if images else np.zeros((0, *spec.shape), np.uint8), rejected
