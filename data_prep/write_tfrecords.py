"""A folder of images to TFRecord shards.

    python -m data_prep.write_tfrecords --path=logos --size=56 --target_path=shards

Reads every format that Pillow reads without help, and SVG, whatever the names of the files. Each image is resized to
fit into a square (with --width, a rectangle) of its background, or of white; --fit=crop keeps the middle of long images
instead, as in 2018. Sub-folders become labels, or --labels=FILE gives each image its own. Files that cannot be read
are listed with the reason in rejects.jsonl beside the shards. The shards depend on the images, their names and their
labels alone, not on the number of processes. After an interruption, the same command goes on with the shard it was at.
"""

import argparse
import json
import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

from data_prep import arguments, pool
from data_prep.folder_items import FolderItems
from data_prep.pictures import ink
from data_prep.pictures.convert import ImageSpec, Item
from data_prep.shards import label_names, metadata, output_folder, plan, shard_files
from logogan_jax.core import errors, files
from logogan_jax.core.errors import UserError
from logogan_jax.data import ink_counts, inks
from logogan_jax.data.dataset import TFRecordDataset

# What --augment adds to the recommended commands: augmentation as in the walkthrough, or none.
AUGMENT_FLAGS = {
    None: "",
    True: " --config.data.rotate=20 --config.data.mirror=True",
    False: " --config.data.rotate=0 --config.data.mirror=False",
}


# What is needed to go on with unfinished shards.
_WORKING = ("plan", "plan.json", "shard-*.json")
MAX_MEASURED = 100_000  # images of a data set whose inks are measured: shards are read whole before they are used


class Totals(NamedTuple):
    """Numbers of images: written, not readable, such as would lose a third if cropped, blank, and with words of SVG."""

    written: int
    rejected: int
    long: int
    blank: int
    words: int


def write(
    items: Sequence[Item] | FolderItems, target: str | pathlib.Path, *, spec: ImageSpec, name: str,
    labels: Sequence[str], description: str, shards: int | None = None, workers: int | None = None,
) -> Totals:  # fmt: skip
    """Convert Items and write them as shards into the new folder `target`.

    `labels` are the names of the Items' labels. `shards` is the number of files, by default by the number of images.
    `workers` is the number of processes, by default one per core; 0 works in this process alone.

    Raises:
        UserError: if `target` is not an empty folder, if a label cannot be written, or if no image can be read.
    """
    label_names.check(labels)
    if "://" in str(target):
        raise UserError(
            f"--target_path={target} is a bucket: write to a folder and copy it with python -m data_prep.upload, "
            f"or let python -m data_prep.beam_tfrecords write there"
        )
    with output_folder.create(files.expand(target), working=_WORKING) as partial:
        shutil.rmtree(partial / "plan", ignore_errors=True)
        shard_plan = plan.ShardPlan(partial / "plan", items, shards or plan.shard_count(len(items)))
        if not plan.resume(partial, shard_plan, name=name, spec=spec):
            _remove_earlier_shards(partial)
        summaries = shard_files.write_shards(shard_plan, partial, name, spec, workers)
        return finish(partial, summaries, spec=spec, name=name, labels=labels, description=description)


def finish(
    folder: pathlib.Path, summaries: Sequence[dict[str, Any]], *, spec: ImageSpec, name: str, labels: Sequence[str],
    description: str,
) -> Totals:  # fmt: skip
    """Write the descriptions of a folder of shards, given the shards' summaries (see shard_files.write_shard).

    Raises:
        UserError: if there is no image.
    """
    lengths = [summary["records"] for summary in summaries]
    rejects = [reject for summary in summaries for reject in summary["rejects"]]
    # An unfinished folder may have been begun before blanks and words were counted.
    long, blank, words = (sum(summary.get(key, 0) for summary in summaries) for key in ("long", "blank", "words"))
    if not sum(lengths):
        reason = f"{rejects[0]['path']}: {rejects[0]['reason']}" if rejects else "the folder is empty"
        raise UserError(f"no image could be read ({reason}): check --path")
    if rejects:
        with open(folder / "rejects.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(reject) + "\n" for reject in rejects)
    counts = {
        label: sum(summary["labels"].get(str(number), 0) for summary in summaries)
        for number, label in enumerate(labels)
    }
    metadata.write(
        folder, name=name, spec=spec, labels=counts, lengths=lengths,
        nbytes=sum(summary["nbytes"] for summary in summaries), rejects=len(rejects), long=long,
        blank=blank, words=words, description=description,
    )  # fmt: skip
    return Totals(sum(lengths), len(rejects), long, blank, words)


def _remove_earlier_shards(partial: pathlib.Path) -> None:
    """Remove what an earlier run with other images or settings left."""
    old = [path for path in partial.iterdir() if path.name not in (".lock", "plan", "plan.json")]
    if old:
        print("An earlier run that was stopped had other images or settings: starting anew.")
    for path in old:
        path.unlink()


def dataset_name(path: str | pathlib.Path) -> str:
    """A name for the data set in a folder, in the characters that TensorFlow Datasets allows."""
    name = str(path).rstrip("/").rpartition("/")[2].removesuffix(".zip")
    if not name.strip("."):  # the working folder, or one above it
        name = pathlib.Path(path).resolve().name
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "images"


def report(totals: Totals, target: str | pathlib.Path, args: argparse.Namespace) -> str:
    """The lines that end a tool that wrote shards: totals, advice, and the command that trains on them."""
    rejected = f", {totals.rejected} rejected (see rejects.jsonl there)" if totals.rejected else ""
    shown = args.path if "://" in str(target) else target
    notes = ink.describe(totals.blank, totals.words, shown)
    lines = [f"{totals.written} images written to {target}{rejected}.{notes}"]
    if args.fit == "crop" and totals.long > totals.written / 20:
        lines.append(f"{totals.long} of them were cut to two thirds or less: without --fit=crop they stay whole.")
    if "://" not in str(target) and totals.written <= MAX_MEASURED:
        images = TFRecordDataset.open(target).split(0, 0)[0].pixels(inks.MAX_IMAGES)
        lines.append(ink_counts.describe([ink_counts.count_inks(image) for image in images]))
    config = arguments.training_flags(target, arguments.image_spec(args)) + AUGMENT_FLAGS[args.augment]
    if args.augment is not None:
        lines.append(f"See:   python -m data_prep.preview_augment {config} --out=preview.png")
    return "\n".join([*lines, f"Train: python -m logogan_jax.main {config}"])


def _parse_bool(word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r} should be True or False")
    return word.lower() == "true"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that the Beam pipeline has too."""
    parser.add_argument("-p", "--path", required=True, help="folder or zip of images, SVG too; sub-folders are labels")
    parser.add_argument("-tp", "--target_path", required=True, help="new folder for the shards")
    arguments.add_image_spec(parser)
    parser.add_argument(
        "--labels", metavar="folders|none|FILE",
        help="none: ignore sub-folders; folders: sub-folders are labels, also if they are called train and val; FILE: "
        "a .csv with the columns file,label, or StyleGAN's dataset.json, here or among the images",
    )  # fmt: skip
    parser.add_argument("--shards", type=int, help="files to write (default: by the number of images)")
    parser.add_argument(
        "--augment", nargs="?", const=True, type=_parse_bool, metavar="True|False",
        help="print the commands that train with or without rotation and mirroring, and that show it; images are "
        "augmented anew at every step of training, never in the shards (default: as the config says)",
    )  # fmt: skip


def check_number(flag: str, value: int | None, highest: int) -> None:
    """Raise a UserError if the value of a flag was given and is not from 1 to `highest`."""
    if value is not None and not 1 <= value <= highest:
        raise UserError(f"--{flag}={value} should be from 1 to {highest:,}")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.write_tfrecords", description=arguments.summary(__doc__))
    add_arguments(parser)
    parser.add_argument("--workers", type=int, help="processes (default: one per core; try more for a bucket)")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        check_number("shards", args.shards, plan.MAX_SHARDS)
        check_number("workers", args.workers, pool.MAX_WORKERS)
        spec = arguments.image_spec(args)
        items = FolderItems(args.path, args.labels)
        description = f"Images of a folder, {arguments.describe_size(spec)}."
        totals = write(
            items, args.target_path, spec=spec, name=dataset_name(args.path), labels=items.labels,
            description=description, shards=args.shards, workers=args.workers,
        )  # fmt: skip
        print(report(totals, args.target_path, args))


if __name__ == "__main__":
    main()
