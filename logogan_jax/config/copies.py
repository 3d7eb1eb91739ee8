"""Which pictures of a run copy its training images, and which of these is nearest to each."""

from typing import NamedTuple

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


class Nearest(NamedTuple):
    """The training images nearest to n pictures, in features or in pixels, whichever is nearer.

    Attributes:
        image: positions in the data set, int[n].
        name: of the image's file.
        distance: float[n]; less than 1 is a copy.
        copied: bool[n].
        pixels: of the training images, uint8[n, H, W, C].
    """

    image: np.ndarray
    name: list[str]
    distance: np.ndarray
    copied: np.ndarray
    pixels: np.ndarray


class CopyFinder:
    """Finds copies among pictures of a run at the size of its `training` images uint8[N, H, W, C]."""

    def __init__(self, run: RestoredRun):
        self._network = features.load_network(run.config.evaluate.features, "config.evaluate.features")
        train, held_out = restore.real_images(run, self._network)
        self.training = train.pixels
        self._name = restore.training_dataset(run).name
        self._detector = restore.memorization_detector(train, held_out)

    def find(self, pixels: np.ndarray) -> MemorizationReport:
        """Return the MemorizationReport of pictures uint8[n, H, W, C]."""
        return self._detector.find(pixels, features.embed(self._network, pixels))

    def nearest(self, pixels: np.ndarray) -> Nearest:
        """Return what is nearest to pictures uint8[n, H, W, C]."""
        report = self.find(pixels)
        in_features = report.distance_feature < report.distance_pixel
        image = np.where(in_features, report.nearest_feature, report.nearest_pixel)
        distance = np.minimum(report.distance_feature, report.distance_pixel)
        names = [self._name(int(position)) for position in image]
        return Nearest(image, names, distance, report.copied, self.training[image])


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
