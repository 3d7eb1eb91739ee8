"""Draw logos from a run: python -m logogan_jax.sample --workdir=runs/quickstart --num=64 --seed=1 --out=DIR."""

import pathlib

import numpy as np
from absl import flags

from logogan_jax.config import restore
from logogan_jax.core import cache, cli, images
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import features

TRIES = 20  # times as many pictures are drawn as are asked for before giving up


def originals(run, *, num, seed, label):
    """uint8[num, S, S, C] of which none copies a training image, and how many that did were left out."""
    network = features.load_network(run.config.evaluate.features, "config.evaluate.features")
    detector = restore.detector(*restore.images(run, network))
    kept, drawn = [], 0
    while sum(map(len, kept)) < num:
        if drawn >= TRIES * max(num, restore.CHUNK):
            found = sum(map(len, kept))
            raise UserError(f"--no_copies: of {drawn:,} pictures only {found} are no copies: this run has memorised")
        pixels = restore.draw(run, first=drawn, count=restore.CHUNK, seed=seed, label=label)
        copied = detector.find(pixels, features.embed(network, pixels)).copied
        kept.append(pixels[~copied])
        drawn += len(pixels)
    return np.concatenate(kept)[:num], drawn - sum(map(len, kept))


def write(folder, pixels, beside=None):
    """Write each picture and one grid of the first hundred into a new folder, each after what it is `beside`."""
    for i, picture in enumerate(pixels):
        images.write_png(folder / f"{i:05d}.png", picture)
    if beside is None:
        images.write_image_grid(folder / "grid.png", pixels[:100])
    else:
        pairs = np.stack([beside, pixels], axis=1)[:50]
        images.write_image_grid(folder / "grid.png", pairs.reshape(-1, *pixels.shape[1:]), columns=10)


def label_of(run, name):
    """The number of a label that a run knows by name."""
    names = list(run.about.labels) if run.config.data.labels else []
    if name not in names:
        known = f"it should be one of {', '.join(names)}" if names else "this run was told none (config.data.labels)"
        raise UserError(f"--label is {name!r}: {known}")
    return names.index(name)


def pictures(run):
    """(pictures as the flags ask for them, what they are beside or None, more to say)."""
    num, seed, name = flags.FLAGS.num, flags.FLAGS.seed, flags.FLAGS.label
    if flags.FLAGS.reconstruct:
        if name or flags.FLAGS.no_copies:
            raise UserError("--reconstruct shows given images again: leave --label and --no_copies")
        beside, pixels = restore.reconstructed(run, num)
        return pixels, beside, ", each in the grid after the image that it reconstructs"
    label = None if name is None else label_of(run, name)
    if flags.FLAGS.no_copies:
        pixels, copies = originals(run, num=num, seed=seed, label=label)
        return pixels, None, f"; {copies} copies of training images were left out"
    return restore.draw(run, first=0, count=num, seed=seed, label=label), None, ""


def define():
    """The flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to draw from")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_integer("num", 64, "how many pictures", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
    flags.DEFINE_string("out", None, "new folder for 00000.png, 00001.png, ... and grid.png")
    flags.DEFINE_string("label", None, "only of this label; default: all labels, as often as in the data")
    flags.DEFINE_bool("reconstruct", False, "reconstructions of held-out images (vae), or of training images (glo)")
    flags.DEFINE_bool("no_copies", False, "draw others instead of pictures that copy training images")


def main():
    """The command."""
    cache.enable_compilation_cache()
    folder = pathlib.Path(flags.FLAGS.out).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out={folder} is not an empty folder: choose a new one")
    run = restore.opened(flags.FLAGS.workdir, flags.FLAGS.step)
    pixels, beside, said = pictures(run)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, pixels, beside)
    print(f"{len(pixels)} pictures and grid.png of step {run.step} are in {flags.FLAGS.out}{said}")


def command() -> None:
    """Run this module as the command logogan-sample."""
    cli.run(main, define, required=["workdir", "out"])


if __name__ == "__main__":
    command()
