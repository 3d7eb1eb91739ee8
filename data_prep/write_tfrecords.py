"""A folder of images to TFRecord shards.

    python -m data_prep.write_tfrecords --path=logos --size=56 --target_path=shards

Reads every format that Pillow reads without help, and SVG, whatever the files are called. Each image is
resized to fit into a square (with --width, a rectangle) of its own background, white where there is none;
--fit=crop keeps the middle of long ones instead, as was done in 2018. Sub-folders become labels. What
cannot be read is listed with its reason in rejects.jsonl beside the shards. The shards depend on the
images and their names alone, not on the number of processes. A stopped run goes on with the shard it was at.
"""

import argparse
import json
import pathlib
import re
import shutil

from data_prep import arguments
from data_prep.pictures.convert import Item
from data_prep.shards import metadata, output_folder, plan, shard_files
from logogan_jax.core import errors
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

AUGMENT = " --config.data.rotate={} --config.data.mirror={}"  # as the walkthrough did it, or not at all


def write(items, target, *, spec, name, labels, description, shards=None, workers=None):
    """Convert Items, an iterable with a length, and write them as shards into the new folder `target`.

    Returns (images written, images rejected, images so long that cropping loses a third of them).
    `spec` is a convert.ImageSpec; `workers=0` works in this process alone.
    """
    if "://" in str(target):
        raise UserError(
            f"--target_path={target} is a bucket: write to a folder and copy it with python -m data_prep.upload, "
            f"or let python -m data_prep.beam_tfrecords write there"
        )
    target = pathlib.Path(target).expanduser()
    with output_folder.create(target) as partial:
        shutil.rmtree(partial / "plan", ignore_errors=True)
        planned = plan.ShardPlan(partial / "plan", items, shards or plan.shard_count(len(items)))
        if not plan.resume(partial, planned, name=name, spec=spec):
            _begin_anew(partial)
        notes = shard_files.write_shards(planned, partial, name, spec, workers)
        return finish(partial, notes, spec=spec, name=name, labels=labels, description=description)


def finish(folder, notes, *, spec, name, labels, description):
    """Describe a folder of written shards, given what each holds -> as write; UserError if there is no image."""
    lengths, rejected = [note["records"] for note in notes], sum(len(note["rejects"]) for note in notes)
    long = sum(note["long"] for note in notes)
    if not sum(lengths):
        first = next((reject for note in notes for reject in note["rejects"]), None)
        why = f"{first['path']}: {first['reason']}" if first else "the folder is empty"
        raise UserError(f"no image could be read ({why}): check --path")
    if rejected:
        with open(folder / "rejects.jsonl", "w") as file:
            file.writelines(json.dumps(reject) + "\n" for note in notes for reject in note["rejects"])
    counts = {label: sum(note["labels"].get(str(i), 0) for note in notes) for i, label in enumerate(labels)}
    metadata.write(
        folder, name=name, spec=spec, labels=counts, lengths=lengths, nbytes=sum(note["nbytes"] for note in notes),
        rejects=rejected, long=long, description=description,
    )  # fmt: skip
    shutil.rmtree(folder / "plan", ignore_errors=True)
    for path in [folder / "plan.json", *folder.glob("shard-*.json")]:
        path.unlink(missing_ok=True)
    return sum(lengths), rejected, long


def _begin_anew(partial):
    """Remove what an earlier run left that had other images or settings."""
    old = [path for path in partial.iterdir() if path.name not in (".lock", "plan", "plan.json")]
    if old:
        print("What an earlier, stopped run left was made of other images or settings: beginning anew.")
    for path in old:
        path.unlink()


class FolderItems:
    """The files below a folder or bucket but hidden ones, as Items; sub-folders of the top are `labels`.

    Names are read anew for every pass, so that memory does not grow with their number.
    """

    def __init__(self, path, labelled=True):
        self._store, tops, self._count, loose = filesystem.open_store(path), set(), 0, 0
        if not self._store.exists():
            raise UserError(f"--path={path} is not a folder")
        for name in filesystem.image_names(self._store):
            top, below, _ = name.partition("/")
            tops |= {top} if below else set()
            loose += not below
            self._count += 1
        self.labels = sorted(tops) if labelled else []
        if self.labels and loose:
            raise UserError(
                f"--path={path} has {loose} files beside its sub-folders, so they have no label: move them into "
                f"a sub-folder, or use --labels=none"
            )
        self._numbers = {label: number for number, label in enumerate(self.labels)}

    def __len__(self):
        return self._count

    def __iter__(self):
        for name in filesystem.image_names(self._store):
            yield Item(name, self._numbers.get(name.partition("/")[0], 0), f"{self._store}/{name}")


def dataset_name(path):
    """A name for the data set of a folder, as TensorFlow Datasets allows."""
    return re.sub(r"\W+", "_", str(path).rstrip("/").rpartition("/")[2].lower()).strip("_") or "images"


def report(outcome, target, args):
    """The lines that end a tool that wrote shards: totals, advice, and the command that trains on them."""
    good, bad, long = outcome
    where = f", {bad} rejected (see rejects.jsonl there)" if bad else ""
    lines = [f"{good} images written to {target}{where}."]
    if args.fit == "crop" and long > good / 20:
        lines.append(f"{long} of them were cut to two thirds or less: without --fit=crop they stay whole.")
    varied = {None: "", True: AUGMENT.format(20, True), False: AUGMENT.format(0, False)}[args.augment]
    config = arguments.training_flags(target, arguments.image_spec(args)) + varied
    if args.augment is not None:
        lines.append(f"See:   python -m data_prep.preview_augment {config} --out=preview.png")
    return "\n".join([*lines, f"Train: python -m logogan_jax.main {config}"])


def _truth(word):
    if word.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r} should be True or False")
    return word.lower() == "true"


def add_arguments(parser):
    """Add the flags that the Beam pipeline shares."""
    parser.add_argument("-p", "--path", required=True, help="folder of images, SVG too; sub-folders are labels")
    parser.add_argument("-tp", "--target_path", required=True, help="new folder for the shards")
    arguments.add_image_spec(parser)
    parser.add_argument("--labels", choices=("folders", "none"), default="folders", help="none: ignore sub-folders")
    parser.add_argument("--shards", type=int, help="files to write (default: by the number of images)")
    parser.add_argument(
        "--augment", nargs="?", const=True, type=_truth, metavar="True|False",
        help="print the commands that train with or without turning and mirroring, and that show it; images are "
        "varied anew at every step of training, never in the shards (default: as the config has it)",
    )  # fmt: skip


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.write_tfrecords", description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--workers", type=int, help="processes (default: one per core; try more for a bucket)")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        for flag in ("shards", "workers"):
            if (getattr(args, flag) or 1) < 1:
                raise UserError(f"--{flag}={getattr(args, flag)} should be at least 1")
        spec, items = arguments.image_spec(args), FolderItems(args.path, args.labels == "folders")
        description = f"Images of a folder, {arguments.describe_size(spec)}."
        outcome = write(
            items, args.target_path, spec=spec, name=dataset_name(args.path), labels=items.labels,
            description=description, shards=args.shards, workers=args.workers,
        )  # fmt: skip
        print(report(outcome, args.target_path, args))


if __name__ == "__main__":
    main()
