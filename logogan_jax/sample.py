"""Draw logos from a run: python -m logogan_jax.sample --workdir=runs/quickstart --num=64 --seed=1 --out=DIR."""

import pathlib

import numpy as np
from absl import flags

from logogan_jax import cache, command, images, runs
from logogan_jax.errors import UserError
from logogan_jax.metrics import features

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


def define():
    """The flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to draw from")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_integer("num", 64, "how many pictures", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
    flags.DEFINE_string("out", None, "new folder for 00000.png, 00001.png, ... and grid.png")
    flags.DEFINE_bool("no_copies", False, "draw others instead of pictures that copy training images")


def main():
    """The command."""
    cache.compiled_programs()
    folder = pathlib.Path(flags.FLAGS.out).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out={folder} is not an empty folder: choose a new one")
    run, said = runs.opened(flags.FLAGS.workdir, flags.FLAGS.step), ""
    if flags.FLAGS.no_copies:
        pixels, copies = originals(run, num=flags.FLAGS.num, seed=flags.FLAGS.seed)
        said = f"; {copies} copies of training images were left out"
    else:
        pixels = runs.draw(run, first=0, count=flags.FLAGS.num, seed=flags.FLAGS.seed)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, pixels)
    print(f"{len(pixels)} pictures and grid.png of step {run.step} are in {flags.FLAGS.out}{said}")


if __name__ == "__main__":
    command.run(main, define, required=["workdir", "out"])
