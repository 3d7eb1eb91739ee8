"""What the studio's second process does: it restores runs and draws from them, one request after another.

Compiling and drawing keep Python busy, so they do not happen in the process that answers the browser.
"""

import functools
import io
import os
import pathlib
import signal
import tempfile
import traceback
from collections import OrderedDict
from multiprocessing.connection import Connection
from typing import Any

import jax
import numpy as np
from absl import logging
from PIL import Image

from logogan_jax.config import copies, restore
from logogan_jax.config.build_networks import image_size
from logogan_jax.config.drawer import MAX_SCALE, Drawer
from logogan_jax.core import backend
from logogan_jax.core.errors import UserError
from logogan_jax.studio.wish import Wish
from logogan_jax.training import sampling
from logogan_jax.training.drawing import addresses, animation, directions, latents, svg_files
from logogan_jax.training.drawing.directions import Directions
from logogan_jax.training.sampling import Latents

MAX_PICTURES = 100  # of one request
SLIDERS = 10  # principal directions
_MAX_PIXELS = 2**26  # of all pictures of a request
_OPEN = 2  # runs that are kept in memory
_PROBES = 16  # latents from which the directions are found
_FRAMES = 24  # of an animation, from one picture to the next


class Opened:
    """A run at one of its steps, with what is found out about it when it is first needed."""

    def __init__(self, workdir: pathlib.Path, step: str):
        self.run = restore.restore(str(workdir), step)
        self.drawer = Drawer(self.run)

    @functools.cached_property
    def directions(self) -> Directions:
        """The strongest directions; the last one chooses the ink, where inks are those of the data."""
        probes = self.drawer.latents(addresses.numbered(0, 0, _PROBES))
        metric = jax.jit(sampling.make_metric(self.run.model.graphdefs))(self.run.state, probes)
        kept = self.drawer.kept
        found = directions.principal(jax.device_get(metric), SLIDERS, kept)
        inks = np.eye(probes.z.shape[1], dtype=np.float32)[probes.z.shape[1] - kept :]
        return Directions(
            np.concatenate([found.vectors, inks]), np.concatenate([found.shares, np.zeros(kept, np.float32)])
        )

    @functools.cached_property
    def finder(self) -> copies.CopyFinder:
        """Finds the training images that are nearest; it reads all of them."""
        return copies.CopyFinder(self.run)

    def latents(self, wish: Wish) -> Latents:
        """Return the Latents of a Wish; UserError for what cannot be."""
        if not 1 <= len(wish.pictures) <= MAX_PICTURES:
            raise UserError(f"{len(wish.pictures)} pictures at once: it should be from 1 to {MAX_PICTURES}")
        if not 1 <= wish.scale <= MAX_SCALE:
            raise UserError(f"scale={wish.scale} should be from 1 to {MAX_SCALE}")
        latents.check_truncation(wish.truncation)
        shape = image_size(self.run.config)
        if len(wish.pictures) * shape[0] * shape[1] * wish.scale**2 > _MAX_PIXELS:
            raise UserError(f"{len(wish.pictures)} pictures at scale={wish.scale} are too large: lower one of them")
        wanted = [addresses.parse(address, "picture", most=1)[0] for address, _ in wish.pictures]
        drawn = self.drawer.latents(wanted, self.drawer.label_number(wish.label), wish.truncation)
        moves = [move for _, move in wish.pictures]
        if not any(map(any, moves)):
            return drawn
        vectors = self.directions.vectors
        if any(len(move) > len(vectors) for move in moves):
            raise UserError(f"a picture has more than {len(vectors)} sliders")
        along = np.zeros((len(moves), len(vectors)), np.float32)
        for row, move in zip(along, moves, strict=True):
            row[: len(move)] = move
        if not np.isfinite(along).all() or np.abs(along).max() > 100:
            raise UserError("a slider should be from -100 to 100")
        return Latents(drawn.z + along @ vectors, drawn.label)


def about(opened: Opened) -> dict[str, Any]:
    """Return what a page has to know of a run."""
    run = opened.run
    return {
        "step": run.step,
        "labels": list(run.info.labels) if run.config.data.labels else [],
        "size": list(image_size(run.config)),
        "sliders": [round(float(share), 4) for share in opened.directions.shares],
        "inks": opened.drawer.kept,
        "truncates": bool(run.model.objective.prior_mean),
    }


def sheet(opened: Opened, wish: Wish) -> list[bytes]:
    """Return pictures as PNG files."""
    pixels = opened.drawer.paint(opened.latents(wish), wish.scale, transparent=wish.transparent)
    return [_encode(picture, "PNG") for picture in pixels]


def file(opened: Opened, wish: Wish, kind: str) -> bytes:
    """Return the one picture of a Wish as a file: png, webp or svg."""
    drawn = opened.latents(wish)
    if kind == "svg":
        with tempfile.TemporaryDirectory() as folder:
            regions = opened.drawer.regions(drawn, wish.scale, transparent=wish.transparent)
            svg_files.write(pathlib.Path(folder), ["picture"], regions)
            return (pathlib.Path(folder) / "picture.svg").read_bytes()
    return _encode(opened.drawer.paint(drawn, wish.scale, transparent=wish.transparent)[0], kind.upper())


def between(opened: Opened, wish: Wish) -> bytes:
    """Return an animated WebP from each picture of a Wish to the next."""
    if not 2 <= len(wish.pictures) <= 8:
        raise UserError(f"an animation of {len(wish.pictures)} pictures: it should be from 2 to 8")
    opened.latents(wish._replace(pictures=wish.pictures[:1] * MAX_PICTURES))  # so large may it be
    frames = opened.drawer.frames(opened.latents(wish), _FRAMES, wish.scale, transparent=wish.transparent)
    with tempfile.TemporaryDirectory() as folder:
        animation.write(pathlib.Path(folder), frames)
        return (pathlib.Path(folder) / "animation.webp").read_bytes()


def nearest(opened: Opened, wish: Wish) -> list[dict[str, Any]]:
    """Return for each picture the training image that is nearest, and whether it counts as a copy of it."""
    pixels = opened.drawer.paint(opened.latents(wish._replace(scale=1, transparent=False)))
    found = opened.finder.nearest(pixels)
    return [
        {"name": name, "distance": round(float(distance), 3), "copied": bool(copied), "picture": _encode(image, "PNG")}
        for name, distance, copied, image in zip(
            found.name, found.distance, found.copied, found.pixels, strict=True
        )
    ]  # fmt: skip


FUNCTIONS = {function.__name__: function for function in (about, sheet, file, between, nearest)}


def _encode(picture: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    image.save(stream, format=kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    return stream.getvalue()


def serve(connection: Connection) -> None:
    """Answer requests until the pipe closes.

    A request is (name of a function, workdir, step, further arguments); an answer ("done", value) or ("refused", line).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end closes the pipe
    logging.set_verbosity(logging.FATAL)  # libraries also log what they raise
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a training may need the GPU's memory
    opened: OrderedDict[tuple[str, str], Opened] = OrderedDict()
    started = False
    while True:
        try:
            name, workdir, step, arguments = connection.recv()
        except EOFError:
            return
        try:
            if not started:
                backend.start()
                started = True
            connection.send(("done", FUNCTIONS[name](_open(opened, workdir, step), *arguments)))
        except UserError as error:
            connection.send(("refused", str(error)))
        except Exception as error:
            traceback.print_exc()
            connection.send(("refused", f"drawing failed ({type(error).__name__}); the terminal has more"))


def _open(opened: OrderedDict[tuple[str, str], Opened], workdir: str, step: str) -> Opened:
    """Return a run at a step, which stays in memory until others have taken its place."""
    run = opened.pop((workdir, step), None) or Opened(pathlib.Path(workdir), step)
    # A name such as "newest" is another step later, so only numbers are kept.
    opened[workdir, str(run.run.step)] = run
    while len(opened) > _OPEN:
        opened.popitem(last=False)
    return run
