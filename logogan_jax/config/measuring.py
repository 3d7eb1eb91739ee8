"""A run's pictures, or a folder's, measured against images: columns of metrics, and copies."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from logogan_jax.config import build_networks, restore, scoring
from logogan_jax.config.restore import Images, RestoredRun
from logogan_jax.core import intervals
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute, efflite0, features, memorization_page
from logogan_jax.metrics.features import FeatureNetwork, Features
from logogan_jax.metrics.tables import Column

NUM_SAMPLES = 2_048  # pictures that are drawn, unless another number is given
MAX_REALS = 20_000  # real images that a table is made of, at most; copies are looked for among all


class Options(NamedTuple):
    """What is measured of a run, as the flags of these names say."""

    num_samples: int = NUM_SAMPLES
    seed: int = 0
    data: str | None = None
    against: str | None = None
    real_vs_real: bool = False


def load_networks(specs: Sequence[str]) -> list[FeatureNetwork]:
    """Return the feature networks of --features; UserError where there is none, or one twice."""
    names = [spec.partition(":")[0] for spec in specs]
    if not names or len({*names}) < len(names):
        raise UserError(f"--features={','.join(specs)} should name one network or several, each once")
    return [features.load_network(spec) for spec in specs]


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


def evaluate_run(
    run: RestoredRun, networks: Sequence[FeatureNetwork], options: Options
) -> tuple[dict[str, Column], dict[str, Any]]:
    """Measure samples of a run by each of the feature networks; copies are looked for by the first.

    With `against` the run's own images are not needed: where they are not here, only those of `against` count.

    Returns:
        The columns of the table by their titles; and {"copies": what find_copies returns} with what
        scoring.score_images returns, or {} without its images.
    """
    data = run.config.data
    shape = (data.size, data.width or data.size, data.channels)
    others = load_folder(options.against, "against", shape) if options.against else None
    own_images = _own_images(run, networks[0], options)
    pixels = restore.draw(run, count=options.num_samples, seed=options.seed)
    if build_networks.looks_through_features(run.config.model.name) and efflite0.NAME in {n.name for n in networks}:
        print(f"The critic of this run looked through {efflite0.NAME}, whose figures are too good here: trust ppocr")
    columns: dict[str, Column] = {}
    facts = {}
    for i, network in enumerate(networks):
        samples = Images(pixels, features.embed(network, pixels))
        if i and own_images:
            own_images = _own_images(run, network, options)
        reference = None if others is None else Images(others, features.embed(network, others))
        for title, pair in _pairs(samples, reference, own_images, options).items():
            columns[title] = columns.get(title, {}) | measure(*pair, network)
        if own_images and not i:
            facts = {"copies": find_copies(run, samples, *own_images)}
            facts |= scoring.score_images(run, pixels, options.seed)
    return columns, facts


def _pairs(
    samples: Images, others: Images | None, own_images: tuple[Images, Images] | None, options: Options
) -> dict[str, tuple[Images, Images]]:
    """Return which images are compared with which, by the titles of the columns."""
    pairs = {options.against: (samples, others)} if options.against and others else {}
    if not own_images:
        return pairs
    train, held_out = own_images
    if not others and len(held_out.pixels):
        pairs["held out"] = samples, subsample(held_out, MAX_REALS)
    pairs["trained on"] = samples, subsample(train, MAX_REALS)
    if options.real_vs_real:
        if not len(held_out.pixels):
            raise UserError("--real_vs_real needs images that were held out, and config.data.held_out left none")
        pairs["real vs real"] = subsample(train, options.num_samples), subsample(held_out, MAX_REALS)
    return pairs


def _own_images(run: RestoredRun, network: FeatureNetwork, options: Options) -> tuple[Images, Images] | None:
    """Return the images a run was trained on and those held out, or None where they are neither here nor needed."""
    try:
        return restore.real_images(run, network)
    except UserError as error:
        if not options.against or options.real_vs_real or options.data:
            raise
        print(f"Copies of the run's own images are not looked for: {error}")
        return None


def subsample(images: Images, most: int) -> Images:
    """Return at most `most` of the images, chosen at random but the same in every call."""
    positions = compute.choose_positions(len(images.pixels), most)
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
