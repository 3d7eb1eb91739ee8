"""Items to the files of shards, one after another; a finished file is never made again."""

import contextlib
import functools
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from data_prep import pool
from data_prep.pictures import convert
from data_prep.shards.plan import ShardPlan
from logogan_jax.core import files, progress
from logogan_jax.data import tfrecord

LONG = 1.5  # an image with one side this many times the other loses a third when it is cropped

# What convert.convert or, in its place, the pool returns for an Item.
Result = convert.Converted | pool.Failed


def shard_name(name: str, number: int, shards: int) -> str:
    """The name of a shard's file in the layout of TensorFlow Datasets."""
    return f"{name}-train.tfrecord-{number:05d}-of-{shards:05d}"


def write_shards(
    plan: ShardPlan, folder: pathlib.Path, name: str, spec: convert.ImageSpec, workers: int | None
) -> list[dict[str, Any]]:
    """Write every shard of a plan that is not written yet; returns the summary (see write_shard) of each shard."""
    shards = len(plan.counts)
    missing = [number for number in range(shards) if not _summary_path(folder, number).exists()]
    done = sum(plan.counts) - sum(plan.counts[number] for number in missing)
    items, items_to_convert = itertools.tee(item for number in missing for item in plan.items(number))
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.Bar("logos", sum(plan.counts), done))
        work = functools.partial(convert.convert, spec=spec)
        results = stack.enter_context(pool.map_ordered(work, items_to_convert, workers))
        pairs = zip(items, results, strict=True)
        for number in missing:
            pairs_of_shard = _with_progress(itertools.islice(pairs, plan.counts[number]), bar, done)
            summary = write_shard(folder / shard_name(name, number, shards), pairs_of_shard)
            # Written last: it says that the shard is complete.
            files.write_json(_summary_path(folder, number), summary)
            done += plan.counts[number]
    return [json.loads(_summary_path(folder, number).read_text(encoding="utf-8")) for number in range(shards)]


def write_shard(path: pathlib.Path, pairs: Iterable[tuple[convert.Item, Result]]) -> dict[str, Any]:
    """Write Items and what became of them as one TFRecord file.

    Returns:
        A summary {"records", "nbytes", "long": images LONG times as long as wide or more, "labels": {number of the
        label, as digits: images that have it}, "blank" and "words": images that are convert.Converted.is_blank or
        .has_words, "rejects": [{"path", "reason"}]}.
    """
    rejects = []
    labels: dict[str, int] = {}
    counts = {"long": 0, "blank": 0, "words": 0}
    with files.atomic_write(path) as partial, tfrecord.Writer(partial) as writer:
        for item, result in pairs:
            reason = result.reason or ("it lies beside the sub-folders" if item.label < 0 else "")
            if reason or not isinstance(result, convert.Converted):
                rejects.append({"path": item.name, "reason": reason})
                continue
            name = item.name.encode("utf-8", "backslashreplace")  # a file name need not be valid text
            example = {"image": result.png, "label": item.label, "name": name, "sha256": result.sha256}
            writer.write(tfrecord.encode(example))
            labels[str(item.label)] = labels.get(str(item.label), 0) + 1
            counts["long"] += not 1 / LONG < result.aspect < LONG
            counts["blank"] += result.is_blank
            counts["words"] += result.has_words
    return {"records": writer.count, "nbytes": writer.nbytes, **counts, "labels": labels, "rejects": rejects}


def _summary_path(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / f"shard-{number:05d}.json"


def _with_progress(pairs: Iterable[Any], bar: progress.Bar, done: int) -> Iterator[Any]:
    for number, pair in enumerate(pairs, done + 1):
        yield pair
        bar.update(number)
