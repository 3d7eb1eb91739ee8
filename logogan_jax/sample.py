"""Draw logos from a run: python -m logogan_jax.sample --workdir=runs/quickstart --num=64 --seed=1 --out=DIR."""

import pathlib

import numpy as np
from absl import flags

from logogan_jax import command, images, runs
from logogan_jax.errors import UserError
from logogan_jax.metrics import features

_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run to draw from")
_STEP = flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
_NUM = flags.DEFINE_integer("num", 64, "how many pictures", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
_OUT = flags.DEFINE_string("out", None, "new folder for 00000.png, 00001.png, ... and grid.png")
_NO_COPIES = flags.DEFINE_bool("no_copies", False, "draw others instead of pictures that copy training images")

TRIES = 20  # times as many pictures are drawn as are asked for before giving up


def originals(run, *, num, seed):
    """uint8[num, S, S, C] of which none copies a training image, and how many that did were left out."""
    network = features.network(run.config.evaluate.features, "config.evaluate.features")
    detector = runs.detector(*runs.images(run, network))
    kept, drawn = [], 0
    while sum(map(len, kept)) < num:
        if drawn >= TRIES * max(num, runs.CHUNK):
            found = sum(map(len, kept))
            raise UserError(f"--no_copies: of {drawn:,} pictures only {found} are no copies: this run has memorised")
        pixels = runs.draw(run, first=drawn, count=runs.CHUNK, seed=seed)
        copied = detector.find(pixels, features.embed(network, pixels)).copied
        kept.append(pixels[~copied])
        drawn += len(pixels)
    return np.concatenate(kept)[:num], drawn - sum(map(len, kept))


def write(folder, pixels):
    """Write each picture and one grid of the first hundred into a new folder."""
    for i, picture in enumerate(pixels):
        images.write_png(folder / f"{i:05d}.png", picture)
    images.write_sheet(folder / "grid.png", pixels[:100])


def main():
    """The command."""
    folder = pathlib.Path(_OUT.value).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out={folder} is not an empty folder: choose a new one")
    run, said = runs.opened(_WORKDIR.value, _STEP.value), ""
    if _NO_COPIES.value:
        pixels, copies = originals(run, num=_NUM.value, seed=_SEED.value)
        said = f"; {copies} copies of training images were left out"
    else:
        pixels = runs.draw(run, first=0, count=_NUM.value, seed=_SEED.value)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, pixels)
    print(f"{len(pixels)} pictures and grid.png of step {run.step} are in {_OUT.value}{said}")


if __name__ == "__main__":
    command.run(main, required=["workdir", "out"])
