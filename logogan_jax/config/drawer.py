"""Pictures of a restored run, drawn by its averaged generator."""

from collections.abc import Sequence

import jax
import numpy as np

from logogan_jax.config.build_networks import takes_inks
from logogan_jax.config.restore import CHUNK, RestoredRun
from logogan_jax.core import images, prng
from logogan_jax.core.errors import UserError
from logogan_jax.training import sampling
from logogan_jax.training.drawing.addresses import Address
from logogan_jax.training.drawing.latents import truncate
from logogan_jax.training.sampling import Latents


class Drawer:
    """Draws pictures of a run by their addresses, or by their latents.

    `kept` is how many numbers at the end of each z choose a colour of the data, not a shape.
    """

    def __init__(self, run: RestoredRun):
        self._run = run
        objective = run.model.objective
        graphdefs = run.model.graphdefs
        label_counts = list(run.info.labels.values()) if run.config.data.labels else []
        self._latents = jax.jit(sampling.make_latents(objective, graphdefs, label_counts or [1]))
        self._synthesize = jax.jit(sampling.make_synthesize(graphdefs), static_argnames="scale")
        self._prior_mean = sampling.make_prior_mean(objective, graphdefs)
        self.kept = int(takes_inks(run.config))

    def latents(self, addresses: Sequence[Address], label: int | None = None, truncation: float = 1.0) -> Latents:
        """Return the Latents of pictures: of one label, by its number, or of all labels, as often as in the data.

        A `truncation` below 1 moves each z towards the mean of the prior, to that share of its distance.
        """
        chunks = [self._chunk(addresses[i : i + CHUNK], label) for i in range(0, len(addresses), CHUNK)]
        z, labels = (np.concatenate(parts)[: len(addresses)] for parts in zip(*chunks, strict=True))
        if truncation < 1:
            z = truncate(z, self.prior_mean(f"--truncation={truncation:g}"), truncation, self.kept)
        return Latents(z, labels)

    def prior_mean(self, flag: str) -> np.ndarray:
        """Return the mean of the prior, float32[latent] or one number; UserError of a flag where it has no middle."""
        if self._prior_mean is None:
            name = self._run.config.objective.name
            raise UserError(
                f"{flag} moves latents to where they are likeliest, and those of config.objective.name {name!r} are "
                f"uniform, none likelier than another: leave it"
            )
        return np.asarray(jax.jit(self._prior_mean)(self._run.state), np.float32)

    def paint(self, latents: Latents, scale: int = 1) -> np.ndarray:
        """Return the pictures uint8[n, H, W, C] of Latents, `scale` times as high and as wide as in training.

        Marks are drawn again at that size, and other pictures are enlarged by a Lanczos filter.
        """
        drawn_scale = scale if self._run.config.mark.inks else 1
        count = len(latents.z)
        chunks = []
        for i in range(0, count, CHUNK):
            part = Latents(*(_filled(values[i : i + CHUNK]) for values in latents))
            chunks.append(self._synthesize(self._run.state, part, scale=drawn_scale))
        pixels = np.concatenate(jax.device_get(chunks))[:count]
        return pixels if drawn_scale == scale else images.enlarge(pixels, scale)

    def _chunk(self, addresses: Sequence[Address], label: int | None) -> Latents:
        """Return the Latents of at most CHUNK addresses, filled up."""
        seeds = [address.seed for address in addresses]
        keys = {seed: jax.random.key_data(_key(seed)) for seed in set(seeds)}
        key = jax.random.wrap_key_data(jax.device_put(_filled(np.stack([keys[seed] for seed in seeds]))))
        numbers = _filled(np.array([address.number for address in addresses], np.int32))
        labels = None if label is None else np.full(CHUNK, label, np.int32)
        return jax.device_get(self._latents(self._run.state, key, numbers, labels))


def _key(seed: int) -> jax.Array:
    """Return the key of a seed's pictures."""
    return prng.fold_in(jax.random.key(seed), prng.SAMPLE)


def _filled(rows: np.ndarray) -> np.ndarray:
    """Return CHUNK rows, of which those that are missing repeat the last."""
    return np.concatenate([rows, np.repeat(rows[-1:], CHUNK - len(rows), axis=0)])
