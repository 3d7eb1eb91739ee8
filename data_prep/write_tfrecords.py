"""A folder of images to TFRecord shards.

    python -m data_prep.write_tfrecords --path=logos --size=56 --target_path=shards

Reads every format that Pillow reads, and SVG. Each image is laid on white, cropped to its largest
centred square and resized. Sub-folders become labels. What cannot be read is listed with its reason
in rejects.jsonl beside the shards. The shards depend on the images and their names alone, not on the
number of processes.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil

from data_prep import convert, folders, metadata, pool
from data_prep.convert import Item
from logogan_jax import errors, progress
from logogan_jax.data import records
from logogan_jax.data.shards import MODES
from logogan_jax.errors import UserError

SHARDS = 8


def write(items, target, *, size, channels, name, labels, description, shards=SHARDS, workers=None):
    """Convert Items and write them as shards into the new folder `target` -> (images written, images rejected)."""
    target = pathlib.Path(target).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"--target_path={target} is not an empty folder: remove it or choose another")
    # An order that mixes the labels and depends on nothing but the names.
    items = sorted(items, key=lambda item: (hashlib.sha256(item.name.encode()).digest(), item.name))
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}): choose another place") from None
    try:
        written = _write_shards(items, partial, name, size, channels, min(shards, len(items)), workers)
        lengths, nbytes, rejected = written
        if not sum(lengths):
            first = rejected[0] if rejected else {"path": "nothing", "reason": "the folder is empty"}
            raise UserError(f"no image could be read ({first['path']}: {first['reason']}): check --path")
        metadata.write(
            partial, name=name, size=size, channels=channels, labels=labels, lengths=lengths, nbytes=nbytes,
            description=description,
        )  # fmt: skip
        if target.exists():
            target.rmdir()
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sum(lengths), len(rejected)


def _write_shards(items, folder, name, size, channels, shards, workers):
    rejected = []
    with contextlib.ExitStack() as stack:
        paths = [folder / f"{name}-train.tfrecord-{i:05d}-of-{shards:05d}" for i in range(shards)]
        writers = [stack.enter_context(records.Writer(path)) for path in paths]
        bar = stack.enter_context(progress.Bar("logos", len(items)))
        work = functools.partial(convert.convert, size=size, channels=channels)
        found = stack.enter_context(pool.ordered(work, items, workers))
        for done, (item, converted) in enumerate(zip(items, found, strict=True), 1):
            if converted.reason:
                rejected.append({"path": item.name, "reason": converted.reason})
            else:
                good = done - 1 - len(rejected)
                example = {"image": converted.png, "label": item.label, "name": item.name, "sha256": converted.sha256}
                writers[good % shards].write(records.encode(example))
            bar.update(done)
    if rejected:
        (folder / "rejects.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rejected))
    return [writer.count for writer in writers], sum(writer.nbytes for writer in writers), rejected


def folder_items(path, labelled=True):
    """(Items, label names) of every file below a folder but hidden ones; sub-folders of the top are the labels."""
    path, names = pathlib.Path(path).expanduser(), folders.visible(path)
    tops = [name.parts[0] if len(name.parts) > 1 else None for name in names]
    labels = sorted(set(tops) - {None}) if labelled else []
    loose = tops.count(None)
    if labels and loose:
        raise UserError(
            f"--path={path} has {loose} files beside its sub-folders, so they have no label: move them into "
            f"a sub-folder, or use --labels=none"
        )
    number = {label: i for i, label in enumerate(labels)}
    return [
        Item(str(name), number.get(top, 0), str(path / name)) for name, top in zip(names, tops, strict=True)
    ], labels


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.write_tfrecords", description=__doc__.splitlines()[0])
    parser.add_argument("--path", required=True, help="folder of images (any format, SVG too); sub-folders are labels")
    parser.add_argument("--size", type=int, required=True, help="side of the square images, in pixels")
    parser.add_argument("--target_path", required=True, help="new folder for the shards")
    parser.add_argument("--channels", type=int, default=3, choices=sorted(MODES), help="3: RGB (default), 1: grey")
    parser.add_argument("--labels", choices=("folders", "none"), default="folders", help="none: ignore sub-folders")
    parser.add_argument("--shards", type=int, default=SHARDS, help=f"files to write (default {SHARDS})")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    args = parser.parse_args(argv)
    with errors.reported():
        if args.size < 1 or args.shards < 1:
            raise UserError(f"--size={args.size} and --shards={args.shards} should be at least 1")
        items, labels = folder_items(args.path, args.labels == "folders")
        name = re.sub(r"\W+", "_", pathlib.Path(args.path).resolve().name.lower()).strip("_") or "images"
        good, bad = write(
            items, args.target_path, size=args.size, channels=args.channels, name=name, labels=labels,
            description=f"Images of a folder, {args.size} pixels.", shards=args.shards, workers=args.workers,
        )  # fmt: skip
        where = f", {bad} rejected (see rejects.jsonl there)" if bad else ""
        print(f"{good} images written to {args.target_path}{where}.")
        train = f"python -m logogan_jax.main --config=configs/wgan56.py --config.data.dir={args.target_path}"
        size = "" if args.size == 56 else f" --config.data.size={args.size}"
        channels = "" if args.channels == 3 else f" --config.data.channels={args.channels}"
        print(f"Train: {train}{size}{channels}")


if __name__ == "__main__":
    main()
