"""Features of real images, computed once for each network and data set and kept in the user's cache."""

import zipfile
from collections.abc import Callable

import numpy as np

from logogan_jax.core import cache, files
from logogan_jax.metrics import features
from logogan_jax.metrics.features import FeatureNetwork, Features


def load_or_embed(network: FeatureNetwork, images: str, pixels: Callable[[], np.ndarray]) -> Features:
    """Return the Features of images, from the cache where they are in it.

    `images` is a text that identifies the images by content. `pixels() -> uint8[n, H, W, C]` is called otherwise.
    """
    path = cache.path("features", f"{network.name}-{network.digest[:16]}-{images}.npz")
    try:
        with np.load(path) as arrays:
            return Features(arrays["head"], arrays["taps"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # not there yet, or damaged
    embedded = features.embed(network, pixels())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(path) as partial, open(partial, "wb") as file:
            np.savez(file, **embedded._asdict())
    except OSError as error:  # they are only computed again
        cache.warn(f"{path.parent}: {error.strerror}")
    return embedded
