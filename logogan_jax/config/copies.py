"""Which pictures of a run copy its training images."""

import numpy as np

from logogan_jax.config import restore
from logogan_jax.config.drawer import Drawer
from logogan_jax.config.restore import CHUNK, RestoredRun
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import features
from logogan_jax.metrics.memorization import MemorizationReport
from logogan_jax.training.drawing import addresses
from logogan_jax.training.drawing.addresses import Address

MAX_TRIES = 20  # give up when this many times the pictures asked for were drawn


class CopyFinder:
    """Finds copies among pictures of a run at the size of its `training` images uint8[N, H, W, C]."""

    def __init__(self, run: RestoredRun):
        self._network = features.load_network(run.config.evaluate.features, "config.evaluate.features")
        train, held_out = restore.real_images(run, self._network)
        self.training = train.pixels
        self._detector = restore.memorization_detector(train, held_out)

    def find(self, pixels: np.ndarray) -> MemorizationReport:
        """Return the MemorizationReport of pictures uint8[n, H, W, C]."""
        return self._detector.find(pixels, features.embed(self._network, pixels))


def find_originals(
    drawer: Drawer, finder: CopyFinder, *, count: int, seed: int, label: int | None = None, truncation: float = 1.0
) -> tuple[list[Address], int]:
    """Find the first pictures of a seed of which none copies a training image.

    Returns:
        The addresses of `count` pictures, and the number of copies that were left out.
    """
    originals: list[Address] = []
    drawn = 0
    while len(originals) < count:
        if drawn >= MAX_TRIES * max(count, CHUNK):
            raise UserError(
                f"--no_copies: of {drawn:,} pictures only {len(originals)} are no copies: this run has memorised"
            )
        chunk = addresses.numbered(seed, drawn, CHUNK)
        copied = finder.find(drawer.paint(drawer.latents(chunk, label, truncation))).copied
        originals += [address for address, copy in zip(chunk, copied, strict=True) if not copy]
        drawn += len(chunk)
    return originals[:count], drawn - len(originals)
