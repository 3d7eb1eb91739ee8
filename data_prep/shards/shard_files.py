"""Items to the files of shards, one after another; a finished one is never made again."""

import contextlib
import functools
import itertools
import json

from data_prep import pool
from data_prep.pictures import convert
from logogan_jax.core import files, progress
from logogan_jax.data import tfrecord

LONG = 1.5  # an image with one side so many times the other loses a third when it is cropped


def shard_path(folder, name, number, shards):
    """The file of a shard, in the layout of TensorFlow Datasets."""
    return folder / f"{name}-train.tfrecord-{number:05d}-of-{shards:05d}"


def write_shards(plan, folder, name, spec, workers):
    """Write every shard of a plan that is not there yet, by all cores -> what each holds (see write_shard)."""
    shards = len(plan.counts)
    todo = [number for number in range(shards) if not _note(folder, number).exists()]
    done = sum(plan.counts) - sum(plan.counts[number] for number in todo)
    items, again = itertools.tee(item for number in todo for item in plan.items(number))
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.Bar("logos", sum(plan.counts), done))
        work = functools.partial(convert.convert, spec=spec)
        found = zip(again, stack.enter_context(pool.map_ordered(work, items, workers)), strict=True)
        for number in todo:
            counted = _counted(itertools.islice(found, plan.counts[number]), bar, done)
            note = write_shard(shard_path(folder, name, number, shards), counted)
            files.write_json(_note(folder, number), note)
            done += plan.counts[number]
    return [json.loads(_note(folder, number).read_text()) for number in range(shards)]


def write_shard(path, converted):
    """Write (Item, Converted or Failed) pairs as one TFRecord file.

    -> {"records", "nbytes", "long": images LONG times as long as wide or more, "labels": {label's number in digits:
    images that have it}, "rejects": [{"path", "reason"}]}
    """
    rejects, long, labels = [], 0, {}
    with files.atomic_write(path) as partial, tfrecord.Writer(partial) as writer:
        for item, result in converted:
            if result.reason:
                rejects.append({"path": item.name, "reason": result.reason})
                continue
            name = item.name.encode("utf-8", "backslashreplace")  # a file name need not be text
            example = {"image": result.png, "label": item.label, "name": name, "sha256": result.sha256}
            writer.write(tfrecord.encode(example))
            labels[str(item.label)] = labels.get(str(item.label), 0) + 1
            long += not 1 / LONG < result.aspect < LONG
        note = {"records": writer.count, "nbytes": writer.nbytes, "long": long, "labels": labels, "rejects": rejects}
    return note


def _note(folder, number):
    return folder / f"shard-{number:05d}.json"


def _counted(pairs, bar, done):
    for number, pair in enumerate(pairs, done + 1):
        yield pair
        bar.update(number)
