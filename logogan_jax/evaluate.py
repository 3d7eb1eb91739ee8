"""Measure a run, or a folder of images: python -m logogan_jax.evaluate --workdir=runs/quickstart.

Prints a table of distances, with 95 % intervals, between what the run draws and the images that were held out from
its training, looks for copies of training images, and writes evaluation.json and copies.html into the run's folder.
Two folders are compared without any model: --images=DIR --against=DIR.
"""

import hashlib
import pathlib

import jax
import numpy as np
from absl import flags

from logogan_jax.config import restore, run_config
from logogan_jax.core import cache, cli, files, intervals
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute, features, kid_fid, memorization_page

MOST = 20_000  # real images that a table is made of, at most; copies are looked for among all


def measured(images, against, network):
    """{"n", "n_against", "against_sha256", metric: {"value", "low", "high"}} of Images against others."""
    for found in (images, against):
        if len(found.pixels) < compute.MIN_IMAGES:
            raise UserError(f"{len(found.pixels)} images are too few to measure: {compute.MIN_IMAGES} are the least")
    estimates = compute.compute_metrics(against.seen, images.seen, name=network.name)
    numbers = {name: estimate._asdict() for name, estimate in estimates.items()}
    digest = hashlib.sha256(np.ascontiguousarray(against.pixels)).hexdigest()
    return {"n": len(images.pixels), "n_against": len(against.pixels), "against_sha256": digest, **numbers}


def of_run(run, network):
    """(columns {title: numbers}, copies) of a run."""
    trained, held_out = restore.real_images(run, network)
    pixels = restore.draw(run, first=0, count=flags.FLAGS.num_samples, seed=flags.FLAGS.seed)
    drawn = restore.Images(pixels, features.embed(network, pixels))
    if flags.FLAGS.against:
        frame = {name: run.config.data[name] for name in ("size", "width", "channels")}
        other = of_folder(flags.FLAGS.against, "against", frame, network)
        columns = {flags.FLAGS.against: measured(drawn, other, network)}
    elif len(held_out.pixels):
        columns = {"held out": measured(drawn, some(held_out, MOST), network)}
    else:
        columns = {}
    columns["trained on"] = measured(drawn, some(trained, MOST), network)
    if flags.FLAGS.real_vs_real:
        if not len(held_out.pixels):
            raise UserError("--real_vs_real needs images that were held out, and config.data.held_out left none")
        real = some(trained, flags.FLAGS.num_samples)
        columns["real vs real"] = measured(real, some(held_out, MOST), network)
    return columns, copies(run, drawn, trained, held_out)


def some(images, most):
    """As many Images, drawn at random if there are more; always the same."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(images.pixels))[:most])
    return restore.Images(images.pixels[drawn], features.Features(*(rows[drawn] for rows in images.seen)))


def copies(run, drawn, trained, held_out):
    """What is said of copies of training images; their page is written into the run's folder."""
    detector = restore.memorization_detector(trained, held_out)
    found = detector.find(*drawn)
    title = f"{run.workdir.name} at step {run.step:,}"
    memorization_page.write(
        run.workdir / "copies.html", drawn.pixels, found, trained.pixels, detector=detector, title=title
    )
    return {
        "share": intervals.proportion(found.copied)._asdict(),
        "count": int(found.copied.sum()),
        "n": len(found.copied),
        "false_alarm_rate": detector.false_alarm_rate,
        "held_out": detector.held_out,
        "held_out_alarms": detector.held_out_alarms,
        "images": np.flatnonzero(found.copied).tolist(),
    }


def of_folder(path, flag, frame, network):
    """Images of a folder, or of shards, brought to a frame {size, width, channels}."""
    from data_prep.doctor import sources
    from data_prep.pictures import convert
    from data_prep.pictures.pixels import load_pixels

    found, rejected = load_pixels(sources.open_source(path, flag), convert.ImageSpec(**frame))
    if rejected:
        name, reason = rejected[0]
        print(f"{len(rejected)} files of --{flag}={path} are left out, the first of them {name}: {reason}")
    if not len(found):
        raise UserError(f"--{flag}={path} holds no image that can be read: give a folder of images, or of shards")
    return restore.Images(found, features.embed(network, found))


def table(columns, network):
    """The numbers as lines of text, one column for each set of images."""
    rows = [("", list(columns))]
    rows.append(("images", [f"{found['n']:,} against {found['n_against']:,}" for found in columns.values()]))
    for metric in compute.METRICS:
        name = compute.metric_name(metric, network.name)
        rows.append((name, [_spoken(found[name]) for found in columns.values()]))
    return "\n".join(f"{name:22}" + "".join(f"{cell:>32}" for cell in cells) for name, cells in rows)


def caution(columns, network):
    """What a reader of the table should know before comparing it."""
    fewest = min(min(found["n"], found["n_against"]) for found in columns.values())
    few = kid_fid.FRECHET_MIN_IMAGES
    if fewest >= few:
        return ""
    name = compute.metric_name("fd", network.name)
    return f"{name} grows where images are few ({fewest:,} here, below {few:,}): compare it at the same numbers only."


def _spoken(estimate):
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"


def define():
    """The flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to measure")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_integer("num_samples", 2_048, "how many pictures to draw", lower_bound=compute.MIN_IMAGES)
    flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
    flags.DEFINE_string("images", None, "folder of images or shards to measure instead of a run")
    flags.DEFINE_string("against", None, "folder of images or shards to measure against")
    flags.DEFINE_integer("size", None, "side in pixels to which two folders are brought", lower_bound=8)
    flags.DEFINE_string("features", "efflite0", "efflite0, or inception:FILE for FID and KID as published")
    flags.DEFINE_bool("real_vs_real", False, "also measure images trained on against those held out: the floor")
    flags.DEFINE_string("out", None, "file for the numbers; default: evaluation.json in the run's folder")


def main():
    """The command."""
    cache.enable_compilation_cache()
    network = features.load_network(flags.FLAGS.features)
    about = {"network": network.name, "network_sha256": network.digest}
    if flags.FLAGS.workdir and not flags.FLAGS.images:
        run = restore.restore(flags.FLAGS.workdir, flags.FLAGS.step)
        columns, copied = of_run(run, network)
        about |= {"run": run.workdir.name, "step": run.step, "seed": flags.FLAGS.seed}
        about |= {
            "recipe_sha256": run_config.digest(run.config),
            "data_fingerprint": run.info.fingerprint,
            "copies": copied,
        }
        out = pathlib.Path(flags.FLAGS.out or run.workdir / "evaluation.json").expanduser()
        data, made = run.info.fingerprint[:12], about["recipe_sha256"][:12]
        print(f"{run.workdir} at step {run.step:,}, data {data}, recipe {made}")
    elif flags.FLAGS.images and flags.FLAGS.against and not flags.FLAGS.workdir:
        if flags.FLAGS.size is None:
            raise UserError("--size is missing: give the side in pixels to which both are brought, such as --size=56")
        frame = {"size": flags.FLAGS.size}
        one = of_folder(flags.FLAGS.images, "images", frame, network)
        other = of_folder(flags.FLAGS.against, "against", frame, network)
        columns = {flags.FLAGS.against: measured(one, other, network)}
        about |= {"images": flags.FLAGS.images, "size": flags.FLAGS.size}
        out = pathlib.Path(flags.FLAGS.out).expanduser() if flags.FLAGS.out else None
        print(f"{flags.FLAGS.images} against {flags.FLAGS.against}, both at {flags.FLAGS.size} pixels")
    else:
        raise UserError("give --workdir=RUN, or two folders of images: --images=DIR --against=DIR")
    print("\n".join(filter(None, (table(columns, network), caution(columns, network)))))
    if "copies" in about:
        print(words_on(about["copies"]))
    if out:
        files.write_json(out, {**about, "against": columns, "device": jax.devices()[0].device_kind})
        print(f"The numbers are in {out}")


def words_on(copied):
    """The copies that were found, in a line."""
    share = copied["share"]
    return (
        f"copies of training images: {copied['count']:,} of {copied['n']:,}, {share['value']:.1%} "
        f"({share['low']:.1%} to {share['high']:.1%}), where {copied['false_alarm_rate']:.1%} of new logos would "
        f"count as such; the closest are in copies.html"
    )


def command() -> None:
    """Run this module as the command logogan-evaluate."""
    cli.run(main, define)


if __name__ == "__main__":
    command()
