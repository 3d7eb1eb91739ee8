"""Measure a run, or a folder of images: python -m logogan_jax.evaluate --workdir=runs/quickstart.

Prints a table of distances, with 95 % intervals, between pictures that the run draws and images that were held out from
its training, looks for copies of training images, and writes evaluation.json and copies.html into the run's folder; its
report.html shows them, too. Two folders are compared without any model: --images=DIR --against=DIR.
"""

import hashlib
import math
import pathlib
from typing import Any

import jax
import numpy as np
from absl import flags

from logogan_jax.config import report_page, restore, run_config
from logogan_jax.config.restore import Images, RestoredRun
from logogan_jax.core import backend, cli, files, intervals, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute, features, kid_fid, memorization_page
from logogan_jax.metrics.features import FeatureNetwork, Features

MAX_SIDE = 4_096  # pixels
MAX_SAMPLES = 1_000_000  # pictures that a run can be asked to draw
MAX_REALS = 20_000  # real images that a table is made of, at most; copies are looked for among all

Column = dict[str, Any]  # {"n", "n_against", "against_sha256", metric: {"value", "low", "high"}}


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


def evaluate_run(run: RestoredRun, network: FeatureNetwork) -> tuple[dict[str, Column], dict[str, Any]]:
    """Measure samples of a run.

    With --against the run's own images are not needed: where they are not here, only those of --against count.

    Returns:
        The columns of the table by their titles, and {"copies": what find_copies returns}, or {} without its images.
    """
    data = run.config.data
    against = flags.FLAGS.against
    shape = (data.size, data.width or data.size, data.channels)
    others = load_folder(against, "against", shape, network) if against else None
    own_images = _own_images(run, network)
    pixels = restore.draw(run, count=flags.FLAGS.num_samples, seed=flags.FLAGS.seed)
    samples = Images(pixels, features.embed(network, pixels))
    columns = {against: measure(samples, others, network)} if others else {}
    if own_images is None:
        return columns, {}
    train, held_out = own_images
    if not others and len(held_out.pixels):
        columns["held out"] = measure(samples, subsample(held_out, MAX_REALS), network)
    columns["trained on"] = measure(samples, subsample(train, MAX_REALS), network)
    if flags.FLAGS.real_vs_real:
        if not len(held_out.pixels):
            raise UserError("--real_vs_real needs images that were held out, and config.data.held_out left none")
        reals = subsample(train, flags.FLAGS.num_samples)
        columns["real vs real"] = measure(reals, subsample(held_out, MAX_REALS), network)
    return columns, {"copies": find_copies(run, samples, train, held_out)}


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


def load_folder(path: str, flag: str, shape: tuple[int, int, int], network: FeatureNetwork) -> Images:
    """Load the images of a folder, or of shards, converted to a shape (height, width, channels).

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
    return Images(pixels, features.embed(network, pixels))


def format_table(columns: dict[str, Column], network: FeatureNetwork) -> str:
    """Return the columns as lines of text, one for each metric."""
    rows = [("", list(columns))]
    rows.append(("images", [f"{column['n']:,} against {column['n_against']:,}" for column in columns.values()]))
    for metric in compute.METRICS:
        name = compute.metric_name(metric, network.name)
        rows.append((name, [_format_estimate(column[name]) for column in columns.values()]))
    return "\n".join(f"{name:22}" + "".join(f"{cell:>32}" for cell in cells) for name, cells in rows)


def small_sample_warning(columns: dict[str, Column], network: FeatureNetwork) -> str:
    """Return a line that warns of a biased Frechet distance, or "" where no column has few images."""
    fewest = min(min(column["n"], column["n_against"]) for column in columns.values())
    few = kid_fid.FRECHET_MIN_IMAGES
    if fewest >= few:
        return ""
    name = compute.metric_name("fd", network.name)
    return f"{name} grows where images are few ({fewest:,} here, below {few:,}): compare it at the same numbers only."


def format_copies(copies: dict[str, Any]) -> str:
    """Return the numbers of find_copies as one line."""
    share = copies["share"]
    return (
        f"copies of training images: {copies['count']:,} of {copies['n']:,}, {share['value']:.1%} "
        f"({share['low']:.1%} to {share['high']:.1%}), where {copies['false_alarm_rate']:.1%} of new logos would "
        f"count as such; the closest are in copies.html"
    )


def _format_estimate(estimate: dict[str, float]) -> str:
    if not math.isfinite(estimate["value"]):
        return "-"
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"


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
    flags.DEFINE_string("features", "efflite0", "efflite0, or inception:FILE for FID and KID as published")
    flags.DEFINE_bool("real_vs_real", False, "also measure images trained on against those held out: the floor")
    flags.DEFINE_string("out", None, "file for the numbers; default: evaluation.json in the run's folder")


def main() -> None:
    """Run the command."""
    out = _file_of_numbers(flags.FLAGS.out) if flags.FLAGS.out else None
    backend.start()
    network = features.load_network(flags.FLAGS.features)
    about = {"network": network.name, "network_sha256": network.digest}
    if flags.FLAGS.workdir and not flags.FLAGS.images:
        columns, facts, out = _measure_run(network, out)
    elif flags.FLAGS.images and flags.FLAGS.against and not flags.FLAGS.workdir:
        columns, facts = _measure_folders(network)
    else:
        raise UserError("give --workdir=RUN, or two folders of images: --images=DIR --against=DIR")
    print("\n".join(filter(None, (format_table(columns, network), small_sample_warning(columns, network)))))
    if "copies" in facts:
        print(format_copies(facts["copies"]))
    if out:
        files.write_json(out, {**about, **facts, "against": columns, "device": jax.devices()[0].device_kind})
        print(f"The numbers are in {out}")
    if out and not flags.FLAGS.out:  # in the run's folder
        report_page.refresh(out.parent, in_bucket="://" in flags.FLAGS.workdir)


def _file_of_numbers(value: str) -> pathlib.Path:
    """Return the path of --out; UserError if it cannot be written, or if something else than numbers is there."""
    path = outputs.file_to_write("out", value)
    if path.exists() and b'"network_sha256"' not in path.read_bytes():
        raise UserError(f"--out={value} is there and was not written by this command: choose another name")
    return path


def _measure_run(
    network: FeatureNetwork, out: pathlib.Path | None
) -> tuple[dict[str, Column], dict[str, Any], pathlib.Path]:
    """Return the columns of --workdir, facts for the file of numbers, and the path of that file."""
    run = restore.restore(flags.FLAGS.workdir, flags.FLAGS.step, flags.FLAGS.data)
    columns, copies = evaluate_run(run, network)
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


def _measure_folders(network: FeatureNetwork) -> tuple[dict[str, Column], dict[str, Any]]:
    """Return the column of --images against --against, and facts for the file of numbers."""
    size = flags.FLAGS.size
    if size is None:
        raise UserError("--size is missing: give the side in pixels to which both are brought, such as --size=56")
    images = load_folder(flags.FLAGS.images, "images", (size, size, 3), network)
    against = load_folder(flags.FLAGS.against, "against", (size, size, 3), network)
    columns = {flags.FLAGS.against: measure(images, against, network)}
    print(f"{flags.FLAGS.images} against {flags.FLAGS.against}, both at {size} pixels")
    return columns, {"images": flags.FLAGS.images, "size": size}


def command() -> None:
    """Run this module as the command logogan-evaluate."""
    cli.run(main, define)


if __name__ == "__main__":
    command()
