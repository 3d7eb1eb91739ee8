"""Measure a run, or a folder of images: python -m logogan_jax.evaluate --workdir=runs/quickstart.

Prints a table of distances, with 95 % intervals, between pictures that the run draws and images that were held out from
its training, looks for copies of training images, and writes evaluation.json and copies.html into the run's folder; its
report.html shows them, too. Two folders are compared without any model: --images=DIR --against=DIR.

Nothing imports this module: in Python `logogan_jax.evaluate` is a function, and an import would take its name.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from logogan_jax.config import evaluation, measuring, report_page
from logogan_jax.config.measuring import NUM_SAMPLES, Options
from logogan_jax.config.restore import Images
from logogan_jax.core import backend, cli, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute, features, tables
from logogan_jax.metrics.features import FeatureNetwork
from logogan_jax.metrics.tables import Column

MAX_SIDE = 4_096  # pixels
MAX_SAMPLES = 1_000_000  # pictures that a run can be asked to draw


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to measure")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_integer(
        "num_samples", NUM_SAMPLES, "how many pictures to draw", lower_bound=compute.MIN_IMAGES, upper_bound=MAX_SAMPLES
    )
    flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
    flags.DEFINE_string("data", None, "where the images of the run lie now; default: where they were")
    flags.DEFINE_string("images", None, "folder of images or shards to measure instead of a run")
    flags.DEFINE_string("against", None, "folder of images or shards to measure against")
    flags.DEFINE_integer(
        "size", None, "side in pixels to which two folders are brought", lower_bound=8, upper_bound=MAX_SIDE
    )
    flags.DEFINE_list(
        "features", ["efflite0"],
        "efflite0, ppocr, inception:FILE for FID and KID as published, or several: --features=efflite0,ppocr",
    )  # fmt: skip
    flags.DEFINE_bool("real_vs_real", False, "also measure images trained on against those held out: the floor")
    flags.DEFINE_string("out", None, "file for the numbers; default: evaluation.json in the run's folder")


def main() -> None:
    """Run the command."""
    values = flags.FLAGS
    out = _file_of_numbers(values.out) if values.out else None
    backend.start()
    networks = measuring.load_networks(values.features)
    if values.workdir and not values.images:
        options = Options(values.num_samples, values.seed, values.data, values.against, values.real_vs_real)
        columns, facts, out = evaluation.measure_run(networks, out, values.workdir, values.step, options)
    elif values.images and values.against and not values.workdir:
        columns, facts = _measure_folders(networks)
    else:
        raise UserError("give --workdir=RUN, or two folders of images: --images=DIR --against=DIR")
    lines = (tables.format_table(columns, networks), tables.small_sample_warning(columns, networks))
    print("\n".join(filter(None, lines)))
    if "copies" in facts:
        print(tables.format_copies(facts["copies"]))
    if "critic" in facts:
        print(tables.format_critic(facts["critic"]))
    if out:
        evaluation.write_numbers(out, networks, facts, columns)
        print(f"The numbers are in {out}")
    if out and not values.out:  # in the run's folder
        report_page.refresh(out.parent, in_bucket="://" in values.workdir)


def _file_of_numbers(value: str) -> pathlib.Path:
    """Return the path of --out; UserError if it cannot be written, or if something else than numbers is there."""
    path = outputs.file_to_write("out", value)
    if path.exists() and b'"network_sha256"' not in path.read_bytes():
        raise UserError(f"--out={value} is there and was not written by this command: choose another name")
    return path


def _measure_folders(networks: Sequence[FeatureNetwork]) -> tuple[dict[str, Column], dict[str, Any]]:
    """Return the column of --images against --against, and facts for the file of numbers."""
    size = flags.FLAGS.size
    if size is None:
        raise UserError("--size is missing: give the side in pixels to which both are brought, such as --size=56")
    images = measuring.load_folder(flags.FLAGS.images, "images", (size, size, 3))
    against = measuring.load_folder(flags.FLAGS.against, "against", (size, size, 3))
    column: Column = {}
    for network in networks:
        ours, theirs = (Images(pixels, features.embed(network, pixels)) for pixels in (images, against))
        column |= measuring.measure(ours, theirs, network)
    columns = {flags.FLAGS.against: column}
    print(f"{flags.FLAGS.images} against {flags.FLAGS.against}, both at {size} pixels")
    return columns, {"images": flags.FLAGS.images, "size": size}


def command() -> None:
    """Run this module as the command logogan-evaluate."""
    cli.run(main, define)


if __name__ == "__main__":
    command()
