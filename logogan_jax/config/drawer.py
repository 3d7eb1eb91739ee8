"""Pictures of a restored run, drawn by its averaged generator."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from data_prep.pictures.trace import Regions
from logogan_jax.config.build_networks import image_size, takes_inks
from logogan_jax.config.restore import CHUNK, RestoredRun, seed_key
from logogan_jax.core import images
from logogan_jax.core.errors import UserError
from logogan_jax.training import sampling
from logogan_jax.training.drawing import flat_colours, latents, transparency
from logogan_jax.training.drawing.addresses import Address
from logogan_jax.training.drawing.flat_colours import WHITE
from logogan_jax.training.sampling import Latents

MAX_SCALE = 16  # times the size of training


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
        self._cover = jax.jit(sampling.make_cover(graphdefs), static_argnames="scale")
        self._prior_mean = sampling.make_prior_mean(objective, graphdefs)
        self._draws_marks = bool(run.config.mark.inks)
        self._channels = run.config.data.channels
        self._enlarged = 8 if max(image_size(run.config)) <= 64 else 4
        self.kept = int(takes_inks(run.config))

    def latents(self, addresses: Sequence[Address], label: int | None = None, truncation: float = 1.0) -> Latents:
        """Return the Latents of pictures: of one label, by its number, or of all labels, as often as in the data.

        A `truncation` below 1 moves each z towards the mean of the prior, to that share of its distance.
        """
        chunks = [self._chunk(addresses[i : i + CHUNK], label) for i in range(0, len(addresses), CHUNK)]
        z, labels = (np.concatenate(parts)[: len(addresses)] for parts in zip(*chunks, strict=True))
        if truncation < 1:
            z = latents.truncate(z, self.prior_mean(f"--truncation={truncation:g}"), truncation, self.kept)
        return Latents(z, labels)

    def label_number(self, name: str | None) -> int | None:
        """Return the number of a --label, None without; a UserError names the labels that there are."""
        if name is None:
            return None
        names = list(self._run.info.labels) if self._run.config.data.labels else []
        if name not in names:
            known = (
                f"it should be one of {', '.join(names)}" if names else "this run was told none (config.data.labels)"
            )
            raise UserError(f"--label is {name!r}: {known}")
        return names.index(name)

    def prior_mean(self, flag: str) -> np.ndarray:
        """Return the mean of the prior, float32[latent] or one number; UserError of a flag where it has no middle."""
        if self._prior_mean is None:
            name = self._run.config.objective.name
            raise UserError(
                f"{flag} moves latents to where they are likeliest, and those of config.objective.name {name!r} are "
                f"uniform, none likelier than another: leave it"
            )
        return np.asarray(jax.jit(self._prior_mean)(self._run.state), np.float32)

    def paint(self, drawn: Latents, scale: int = 1, *, transparent: bool = False) -> np.ndarray:
        """Return the pictures uint8[n, H, W, C] of Latents, `scale` times as high and as wide as in training.

        Marks are drawn again at that size, and other pictures are enlarged by a Lanczos filter. Pictures that are to
        be `transparent` have 4 channels. Where neither marks nor the run's images have alpha, a ground of one colour
        becomes transparent, and pictures without one stay opaque.
        """
        if self._draws_marks:
            if transparent and self._channels != 4:
                return transparency.from_inks(*self._in_chunks(self._cover, drawn, scale))
            return self._in_chunks(self._synthesize, drawn, scale)[0]
        pixels = self._in_chunks(self._synthesize, drawn, 1)[0]
        if transparent and self._channels != 4:
            pixels = transparency.from_ground(pixels)
        return pixels if scale == 1 else images.enlarge(pixels, scale)

    def frames(self, ends: Latents, steps: int, scale: int = 1, *, transparent: bool = False) -> np.ndarray:
        """Return pictures uint8[n, H, W, C] on the way from each of some Latents to the next, in `steps` steps.

        UserError if the ends have different labels and the generator is given them.
        """
        self._check_labels(ends.label)
        mean = None if self._prior_mean is None else self.prior_mean("--interpolate")
        z, places = latents.path(ends.z, steps, mean, self.kept)
        before = np.minimum(places.astype(int), len(ends.z) - 2)
        pixels = self.paint(Latents(z, ends.label[before]), scale, transparent=transparent)
        if not self.kept:
            return pixels
        # The same shapes in the ink of the end that is ahead: in between the colours are mixed.
        z[:, -self.kept :] = ends.z[before + 1, -self.kept :]
        ahead = self.paint(Latents(z, ends.label[before]), scale, transparent=transparent)
        share = (places - before)[:, None, None, None]
        return np.rint((1 - share) * pixels + share * ahead).astype(np.uint8)

    def _check_labels(self, labels: np.ndarray) -> None:
        """Raise a UserError if labels differ that the generator is given."""
        given = self._run.config.data.labels and "generator" in self._run.model.objective.conditioned_networks
        names = [list(self._run.info.labels)[label] for label in labels] if given else []
        if len(set(names)) > 1:
            raise UserError(
                f"--interpolate has pictures of the labels {', '.join(names)}, between which there is nothing: give "
                f"--label={names[0]}, with which all are of one"
            )

    def regions(self, drawn: Latents, scale: int = 1, *, transparent: bool = False) -> Iterator[Regions]:
        """Yield each picture of Latents as regions of flat colours, of `scale` times the size of training.

        The regions have several times the resolution of the picture, at which marks are drawn again.
        """
        for i in range(0, len(drawn.z), CHUNK):
            part = Latents(*(values[i : i + CHUNK] for values in drawn))
            if self._draws_marks:
                ground = "" if transparent or self._channels == 4 else WHITE
                for shares, inks in zip(*self._in_chunks(self._cover, part, self._enlarged), strict=True):
                    yield flat_colours.of_inks(shares, inks, ground, enlarged=self._enlarged, scale=scale)
            else:
                for picture in self.paint(part, transparent=transparent):
                    yield flat_colours.of_picture(picture, enlarged=self._enlarged, scale=scale)

    def _in_chunks(self, program: Callable[..., Any], drawn: Latents, scale: int) -> list[np.ndarray]:
        """Return what a program makes of Latents, CHUNK of them at a time: arrays [n, ...]."""
        count = len(drawn.z)
        made = []
        for i in range(0, count, CHUNK):
            part = Latents(*(_filled(values[i : i + CHUNK]) for values in drawn))
            made.append(jax.device_get(jax.tree.leaves(program(self._run.state, part, scale=scale))))
        return [np.concatenate(parts)[:count] for parts in zip(*made, strict=True)]

    def _chunk(self, addresses: Sequence[Address], label: int | None) -> Latents:
        """Return the Latents of at most CHUNK addresses, filled up."""
        seeds = [address.seed for address in addresses]
        keys = {seed: jax.random.key_data(seed_key(seed)) for seed in set(seeds)}
        key = jax.random.wrap_key_data(jax.device_put(_filled(np.stack([keys[seed] for seed in seeds]))))
        numbers = _filled(np.array([address.number for address in addresses], np.int32))
        labels = None if label is None else np.full(CHUNK, label, np.int32)
        return jax.device_get(self._latents(self._run.state, key, numbers, labels))


def _filled(rows: np.ndarray) -> np.ndarray:
    """Return CHUNK rows, of which those that are missing repeat the last."""
    return np.concatenate([rows, np.repeat(rows[-1:], CHUNK - len(rows), axis=0)])
