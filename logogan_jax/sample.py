"""Draw logos from a run: python -m logogan_jax.sample --workdir=runs/quickstart --num=64 --seed=1 --out=DIR."""

import pathlib

import numpy as np
from absl import flags

from logogan_jax.config import restore
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import backend, cli, images, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import features

MAX_PICTURES = 100_000  # whose names have five digits
MAX_TRIES = 20  # give up --no_copies when this many times the pictures asked for were drawn


def draw_originals(
    run: RestoredRun, *, num: int, seed: int, label: int | None, scale: int = 1
) -> tuple[np.ndarray, int]:
    """Draw pictures of which none copies a training image.

    Returns:
        The pictures uint8[num, H, W, C], `scale` times as large as in training, and the number of copies that were
        left out.
    """
    network = features.load_network(run.config.evaluate.features, "config.evaluate.features")
    detector = restore.memorization_detector(*restore.real_images(run, network))
    originals = []
    count = 0
    drawn = 0
    while count < num:
        if drawn >= MAX_TRIES * max(num, restore.CHUNK):
            raise UserError(f"--no_copies: of {drawn:,} pictures only {count} are no copies: this run has memorised")
        pixels = restore.draw(run, first=drawn, count=restore.CHUNK, seed=seed, label=label)
        copied = detector.find(pixels, features.embed(network, pixels)).copied
        if scale > 1:  # copies are looked for at the size of the training images
            pixels = restore.draw(run, first=drawn, count=restore.CHUNK, seed=seed, label=label, scale=scale)
        originals.append(pixels[~copied])
        count += len(originals[-1])
        drawn += len(pixels)
    return np.concatenate(originals)[:num], drawn - count


def write(folder: pathlib.Path, pixels: np.ndarray, originals: np.ndarray | None = None) -> None:
    """Write each picture, and one grid of the first hundred, into a new folder.

    With `originals`, the images that were reconstructed, the grid shows each of them before its reconstruction.
    """
    for i, picture in enumerate(pixels):
        images.write_png(folder / f"{i:05d}.png", picture)
    if originals is None:
        images.write_image_grid(folder / "grid.png", pixels[:100])
    else:
        pairs = np.stack([originals, pixels], axis=1)[:50]
        images.write_image_grid(folder / "grid.png", pairs.reshape(-1, *pixels.shape[1:]), columns=10)


def label_number(run: RestoredRun, name: str) -> int:
    """Return the number of a label of a run; a UserError names the labels that there are."""
    names = list(run.info.labels) if run.config.data.labels else []
    if name not in names:
        known = f"it should be one of {', '.join(names)}" if names else "this run was told none (config.data.labels)"
        raise UserError(f"--label is {name!r}: {known}")
    return names.index(name)


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to draw from")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_integer("num", 64, "how many pictures", lower_bound=1, upper_bound=MAX_PICTURES)
    flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
    flags.DEFINE_string("out", None, "new folder for 00000.png, 00001.png, ... and grid.png")
    flags.DEFINE_string("label", None, "only of this label; default: all labels, as often as in the data")
    flags.DEFINE_integer(
        "scale", 1, "times the size of training: marks are drawn sharp, others enlarged", lower_bound=1, upper_bound=16
    )
    flags.DEFINE_bool("reconstruct", False, "reconstructions of held-out images (vae), or of training images (glo)")
    flags.DEFINE_string("data", None, "where the images of the run lie now; default: where they were")
    flags.DEFINE_bool("no_copies", False, "draw others instead of pictures that copy training images")


def main() -> None:
    """Run the command."""
    backend.start()
    folder = outputs.folder_to_write("out", flags.FLAGS.out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out={folder} is not an empty folder: choose a new one")
    run = restore.restore(flags.FLAGS.workdir, flags.FLAGS.step, flags.FLAGS.data)
    if flags.FLAGS.reconstruct:
        pixels, originals, remark = _reconstructions(run)
    else:
        pixels, originals, remark = _pictures(run)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, pixels, originals)
    print(f"{len(pixels)} pictures and grid.png of step {run.step} are in {flags.FLAGS.out}{remark}")


def _reconstructions(run: RestoredRun) -> tuple[np.ndarray, np.ndarray, str]:
    """Return reconstructions, the images that they reconstruct, and a remark for the last line."""
    if flags.FLAGS.label or flags.FLAGS.no_copies or flags.FLAGS.scale > 1:
        raise UserError("--reconstruct shows given images again: leave --label, --no_copies and --scale")
    originals, pixels = restore.reconstruct(run, flags.FLAGS.num)
    return pixels, originals, ", each in the grid after the image that it reconstructs"


def _pictures(run: RestoredRun) -> tuple[np.ndarray, None, str]:
    """Return new pictures, None, and a remark for the last line."""
    num = flags.FLAGS.num
    seed = flags.FLAGS.seed
    label = None if flags.FLAGS.label is None else label_number(run, flags.FLAGS.label)
    if flags.FLAGS.no_copies:
        pixels, copies = draw_originals(run, num=num, seed=seed, label=label, scale=flags.FLAGS.scale)
        return pixels, None, f"; {copies} copies of training images were left out"
    return restore.draw(run, first=0, count=num, seed=seed, label=label, scale=flags.FLAGS.scale), None, ""


def command() -> None:
    """Run this module as the command logogan-sample."""
    cli.run(main, define, required=["workdir", "out"])


if __name__ == "__main__":
    command()
