"""Features of real images, computed once for each network and data set and kept in the user's cache."""

import zipfile

import numpy as np

from logogan_jax.core import cache, files
from logogan_jax.metrics import features


def load_or_embed(network, images, pixels):
    """Features of images that the text `images` identifies by content; `pixels()` -> uint8[n, H, W, C] if need be."""
    path = cache.path("features", f"{network.name}-{network.digest[:16]}-{images}.npz")
    try:
        with np.load(path) as found:
            return features.Features(found["head"], found["taps"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # not there yet, or damaged
    found = features.embed(network, pixels())
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, **found._asdict())
    return found
