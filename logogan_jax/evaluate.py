"""Measure a run, or a folder of images: python -m logogan_jax.evaluate --workdir=runs/quickstart.

Prints a table of distances, with 95 % intervals, between pictures that the run draws and images that were held out from
its training, looks for copies of training images, and writes evaluation.json and copies.html into the run's folder; its
report.html shows them, too. Two folders are compared without any model: --images=DIR --against=DIR.
"""

import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from logogan_jax.config import report_page, restore, run_config
from logogan_jax.config.restore import Images, RestoredRun
from logogan_jax.core import backend, cli, files, intervals, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute, features, memorization_page, tables
from logogan_jax.metrics.features import FeatureNetwork, Features
from logogan_jax.metrics.tables import Column

MAX_SIDE = 4_096  # pixels
MAX_SAMPLES = 1_000_000  # pictures that a run can be asked to draw
MAX_REALS = 20_000  # real images that a table is made of, at most; copies are looked for among all


def measure(images: Images, against: Images, network: FeatureNetwork) -> Column:
    """Return every metric of images against others, with both numbers of images and the digest of the others."""
    for image_set in (images, against):
        count = len(image_set.pixels)
        if count < compute.MIN_IMAGES:
            raise UserError(f"{count} images are too few to measure: {compute.MIN_IMAGES} are the least")
    estimates = compute.compute_metrics(against.features, images.features, name=network.name)
    metrics = {name: estimate._asdict() for name, estimate in estimates.items()}
    digest = hashlib.sha256(np.ascontiguousarray(against.pixels)).hexdigest()
    return {"n": len(images.pixels), "n_against": len(against.pixels), "against_sha256": digest, **metrics}


def evaluate_run(run: RestoredRun, *networks: FeatureNetwork) -> tuple[dict[str, Column], dict[str, Any]]:
    """Measure samples of a run by each of the feature networks; copies are looked for by the first.

    With --against the run's own images are not needed: where they are not here, only those of --against count.

    Returns:
        The columns of the table by their titles, and {"copies": what find_copies returns}, or {} without its images.
    """
    data = run.config.data
    against = flags.FLAGS.against
    others = load_folder(against, "against", (data.size, data.width or data.size, data.channels)) if against else None
    own_images = _own_images(run, networks[0])
    pixels = restore.draw(run, count=flags.FLAGS.num_samples, seed=flags.FLAGS.seed)
    columns: dict[str, Column] = {}
    facts = {}
    for i, network in enumerate(networks):
        samples = Images(pixels, features.embed(network, pixels))
        if i and own_images:
            own_images = _own_images(run, network)
        reference = None if others is None else Images(others, features.embed(network, others))
        for title, pair in _pairs(samples, reference, own_images).items():
            columns[title] = columns.get(title, {}) | measure(*pair, network)
        if own_images and not i:
            facts = {"copies": find_copies(run, samples, *own_images)}
    return columns, facts


def _pairs(
    samples: Images, others: Images | None, own_images: tuple[Images, Images] | None
) -> dict[str, tuple[Images, Images]]:
    """Return which images are compared with which, by the titles of the columns."""
    pairs = {flags.FLAGS.against: (samples, others)} if others else {}
    if not own_images:
        return pairs
    train, held_out = own_images
    if not others and len(held_out.pixels):
        pairs["held out"] = samples, subsample(held_out, MAX_REALS)
    pairs["trained on"] = samples, subsample(train, MAX_REALS)
    if flags.FLAGS.real_vs_real:
        if not len(held_out.pixels):
            raise UserError("--real_vs_real needs images that were held out, and config.data.held_out left none")
        pairs["real vs real"] = subsample(train, flags.FLAGS.num_samples), subsample(held_out, MAX_REALS)
    return pairs


def _own_images(run: RestoredRun, network: FeatureNetwork) -> tuple[Images, Images] | None:
    """Return the images a run was trained on and those held out, or None where they are neither here nor needed."""
    try:
        return restore.real_images(run, network)
    except UserError as error:
        if not flags.FLAGS.against or flags.FLAGS.real_vs_real or flags.FLAGS.data:
            raise
        print(f"Copies of the run's own images are not looked for: {error}")
        return None


def subsample(images: Images, most: int) -> Images:
    """Return at most `most` of the images, chosen at random but the same in every call."""
    positions = np.sort(np.random.default_rng(0).permutation(len(images.pixels))[:most])
    return Images(images.pixels[positions], Features(*(rows[positions] for rows in images.features)))


def find_copies(run: RestoredRun, samples: Images, train: Images, held_out: Images) -> dict[str, Any]:
    """Return the numbers of copies of training images among samples; write copies.html into the run's folder."""
    detector = restore.memorization_detector(train, held_out)
    report = detector.find(*samples)
    page = run.workdir / "copies.html"
    title = f"{run.workdir.name} at step {run.step:,}"
    memorization_page.write(page, samples.pixels, report, train.pixels, detector=detector, title=title)
    return {
        "share": intervals.proportion(report.copied)._asdict(),
        "count": int(report.copied.sum()),
        "n": len(report.copied),
        "false_alarm_rate": detector.false_alarm_rate,
        "held_out": detector.held_out,
        "held_out_alarms": detector.held_out_alarms,
        "images": np.flatnonzero(report.copied).tolist(),
    }


def load_folder(path: str, flag: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the images uint8[n, H, W, C] of a folder, or of shards, converted to a shape (height, width, channels).

    `flag` is the name of the command's flag in messages.
    """
    # Imported here, so that to measure a run needs none of the tools that prepare data.
    from data_prep.doctor import sources
    from data_prep.pictures import convert
    from data_prep.pictures.pixels import load_pixels

    height, width, channels = shape
    pixels, rejected = load_pixels(sources.open_source(path, flag), convert.ImageSpec(height, channels, width=width))
    if rejected:
        name, reason = rejected[0]
        print(f"{len(rejected)} files of --{flag}={path} are left out, the first of them {name}: {reason}")
    if not len(pixels):
        raise UserError(f"--{flag}={path} holds no image that can be read: give a folder of images, or of shards")
    return pixels


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to measure")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_integer(
        "num_samples", 2_048, "how many pictures to draw", lower_bound=compute.MIN_IMAGES, upper_bound=MAX_SAMPLES
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
    out = _file_of_numbers(flags.FLAGS.out) if flags.FLAGS.out else None
    backend.start()
    networks = load_networks(flags.FLAGS.features)
    digests = {network.name: network.digest for network in networks}
    about = {"network": networks[0].name, "network_sha256": networks[0].digest, "networks": digests}
    if flags.FLAGS.workdir and not flags.FLAGS.images:
        columns, facts, out = _measure_run(networks, out)
    elif flags.FLAGS.images and flags.FLAGS.against and not flags.FLAGS.workdir:
        columns, facts = _measure_folders(networks)
    else:
        raise UserError("give --workdir=RUN, or two folders of images: --images=DIR --against=DIR")
    print(
        "\n".join(
            filter(None, (tables.format_table(columns, networks), tables.small_sample_warning(columns, networks)))
        )
    )
    if "copies" in facts:
        print(tables.format_copies(facts["copies"]))
    if out:
        files.write_json(out, {**about, **facts, "against": columns, "device": jax.devices()[0].device_kind})
        print(f"The numbers are in {out}")
    if out and not flags.FLAGS.out:  # in the run's folder
        report_page.refresh(out.parent, in_bucket="://" in flags.FLAGS.workdir)


def load_networks(specs: Sequence[str]) -> list[FeatureNetwork]:
    """Return the feature networks of --features; UserError where there is none, or one twice."""
    names = [spec.partition(":")[0] for spec in specs]
    if not names or len({*names}) < len(names):
        raise UserError(f"--features={','.join(specs)} should name one network or several, each once")
    return [features.load_network(spec) for spec in specs]


def _file_of_numbers(value: str) -> pathlib.Path:
    """Return the path of --out; UserError if it cannot be written, or if something else than numbers is there."""
    path = outputs.file_to_write("out", value)
    if path.exists() and b'"network_sha256"' not in path.read_bytes():
        raise UserError(f"--out={value} is there and was not written by this command: choose another name")
    return path


def _measure_run(
    networks: Sequence[FeatureNetwork], out: pathlib.Path | None
) -> tuple[dict[str, Column], dict[str, Any], pathlib.Path]:
    """Return the columns of --workdir, facts for the file of numbers, and the path of that file."""
    run = restore.restore(flags.FLAGS.workdir, flags.FLAGS.step, flags.FLAGS.data)
    columns, copies = evaluate_run(run, *networks)
    recipe = run_config.digest(run.config)
    facts = {
        "run": run.workdir.name,
        "step": run.step,
        "seed": flags.FLAGS.seed,
        "recipe_sha256": recipe,
        "data_fingerprint": run.info.fingerprint,
        **copies,
    }
    print(f"{run.workdir} at step {run.step:,}, data {run.info.fingerprint[:12]}, recipe {recipe[:12]}")
    return columns, facts, out or run.workdir / "evaluation.json"


def _measure_folders(networks: Sequence[FeatureNetwork]) -> tuple[dict[str, Column], dict[str, Any]]:
    """Return the column of --images against --against, and facts for the file of numbers."""
    size = flags.FLAGS.size
    if size is None:
        raise UserError("--size is missing: give the side in pixels to which both are brought, such as --size=56")
    images = load_folder(flags.FLAGS.images, "images", (size, size, 3))
    against = load_folder(flags.FLAGS.against, "against", (size, size, 3))
    column: Column = {}
    for network in networks:
        ours, theirs = (Images(pixels, features.embed(network, pixels)) for pixels in (images, against))
        column |= measure(ours, theirs, network)
    columns = {flags.FLAGS.against: column}
    print(f"{flags.FLAGS.images} against {flags.FLAGS.against}, both at {size} pixels")
    return columns, {"images": flags.FLAGS.images, "size": size}


def command() -> None:
    """Run this module as the command logogan-evaluate."""
    cli.run(main, define)


if __name__ == "__main__":
    command()
