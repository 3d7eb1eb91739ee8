"""write_tfrecords on many machines: an Apache Beam pipeline that writes the same shards, byte for byte.

    python -m data_prep.beam_tfrecords --path=gs://mine/logos --size=112 --target_path=gs://mine/shards \\
        --runner=DataflowRunner --project=mine --region=europe-west1 --temp_location=gs://mine/tmp

Only names are sent between machines: they are grouped by shard, and one worker reads, converts and writes the images of
one shard. Folders and buckets may be mixed. A folder without metadata.json is unfinished; the same command goes on with
the missing shards. docs/scale.md is a plan for a hundred million images.
"""

import argparse
import functools
import hashlib
import json
import logging
import os
import pathlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

from data_prep import arguments, folder_items, listing, pool, write_tfrecords
from data_prep.pictures import convert
from data_prep.pictures.convert import ImageSpec
from data_prep.shards import label_names, plan, shard_files
from logogan_jax.core import errors, files, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

logging.disable(logging.WARNING)  # Beam warns of optional packages that are absent
import apache_beam as beam  # noqa: E402
from apache_beam.coders import BytesCoder  # noqa: E402
from apache_beam.io import ReadFromText  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions  # noqa: E402
from apache_beam.pvalue import AsSingleton  # noqa: E402

logging.disable(logging.NOTSET)

READERS = 4  # processes for one shard if the images are in a bucket, for which they mostly wait
RUNNERS = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")


def pipeline(
    root: Any, path: str, target: str, *, manifest: str | None, spec: ImageSpec, labelling: str | None,
    shards: int | None,
) -> Any:  # fmt: skip
    """Add all steps to a Beam pipeline, which writes into `target` what write_tfrecords.write would.

    Returns:
        The PCollection of the one write_tfrecords.Totals.
    """
    name = write_tfrecords.dataset_name(path)
    if manifest:
        lines = root | ReadFromText(manifest, coder=BytesCoder())
        listed = lines | "names" >> beam.Map(_name_of_line, manifest)
    else:
        listed = root | beam.Create([path]) | "names" >> beam.FlatMap(_list_names)
    names = listed | beam.Reshuffle()
    inner = names | "inner" >> beam.Filter(lambda name: "/" in name) | "folders" >> beam.Map(_folder)
    folders = inner | beam.Distinct() | "labels" >> beam.combiners.ToList()
    loose = names | "loose" >> beam.Filter(_is_loose_image, AsSingleton(folders), path)
    loose_count = AsSingleton(loose | "count loose" >> beam.combiners.Count.Globally())
    labels = AsSingleton(folders | "check" >> beam.Map(_labels, loose_count, labelling, path))
    count = names | beam.combiners.Count.Globally()
    total = count | "shards" >> beam.Map(lambda images: shards or plan.shard_count(images))
    names_by_shard = names | "place" >> beam.Map(_with_shard, AsSingleton(total))
    all_shards = total | beam.FlatMap(lambda shards: [(shard, None) for shard in range(shards)])  # empty ones too
    summaries = (
        {"names": names_by_shard, "shard": all_shards}
        | beam.CoGroupByKey()
        | beam.Map(write_shard, AsSingleton(total), labels, name, path, target, spec)
        | "summaries" >> beam.combiners.ToList()
    )
    return summaries | beam.Map(_finish, labels, name, target, spec)


def _name_of_line(line: bytes, manifest: str) -> str:
    """The name of an image from a line of the manifest; UserError if there is none."""
    try:
        name = json.loads(line)["path"]
    except (ValueError, KeyError, TypeError):  # no UTF-8, no JSON, no object, no path
        name = None
    if not isinstance(name, str):
        raise UserError(
            f"--manifest={manifest} has the line {line[:80]!r}: each line should be JSON with the path of an image "
            'below --path, such as {"path": "shoes/1.png"}'
        )
    return name


def _list_names(path: str) -> Iterable[str]:
    return listing.image_names(filesystem.open_store(path))


def _is_loose_image(name: str, folders: list[str], path: str) -> bool:
    """Whether a file is an image beside sub-folders."""
    return bool(folders) and "/" not in name and listing.is_image(filesystem.open_store(path), name)


def _folder(name: str) -> str:
    return folder_items.label_of(name) or ""


def _labels(folders: list[str], loose: int, labelling: str | None, path: str) -> list[str]:
    """The labels, in order; UserError if the sub-folders are no labels, or if images lie beside them."""
    if labelling == "none":
        return []
    folder_items.check_labels(folders, labelling, path)
    label_names.check(folders)
    if loose:
        raise UserError(f"--path has files beside its sub-folders, so they have no label: {folder_items.LOOSE_ADVICE}")
    return sorted(folders)


def _with_shard(name: str, shards: int) -> tuple[int, str]:
    return plan.shard_index(plan.name_digest(name), shards), name


def write_shard(
    grouped: tuple[int, dict[str, Iterable[str]]], shards: int, labels: list[str], name: str, path: str, target: str,
    spec: ImageSpec,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """Write the file of one shard, unless it is written already.

    `grouped` is (shard, {"names": names of its images}). Returns (shard, summary; see shard_files.write_shard).
    """
    shard, group = grouped
    source = filesystem.open_store(path)
    store = filesystem.open_store(target)
    items = plan.sort_items(folder_items.make_items(source, group["names"], labels))
    file = shard_files.shard_name(name, shard, shards)
    # The summary beside a shard records what the shard was made from, so that only that is not made again.
    inputs = [file, *spec, [[item.name, item.label] for item in items]]
    identity = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    summary_file = _summary_name(shard)
    if store.size(summary_file) and store.size(file) is not None:
        earlier = json.loads(store.read(summary_file))
        if earlier["identity"] == identity:
            return shard, earlier
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder) / file
        work = functools.partial(convert.convert, spec=spec)
        # In separate processes, which a hostile image may bring down, because Beam's worker must survive.
        readers = READERS if isinstance(source, filesystem.Bucket) else 1
        with pool.map_ordered(work, items, workers=readers) as results:
            summary = shard_files.write_shard(local, zip(items, results, strict=True))
        store.put(file, local)
    store.write(summary_file, json.dumps({**summary, "identity": identity}).encode())
    return shard, summary


def _finish(
    summaries: list[tuple[int, dict[str, Any]]], labels: list[str], name: str, target: str, spec: ImageSpec
) -> write_tfrecords.Totals:
    """Write the descriptions of the shards; metadata.json, which says that they are complete, comes last."""
    store = filesystem.open_store(target)
    description = f"Images of a folder, {arguments.describe_size(spec)}."
    ordered = [summary for _, summary in sorted(summaries, key=lambda pair: pair[0])]
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder)
        totals = write_tfrecords.finish(local, ordered, spec=spec, name=name, labels=labels, description=description)
        for file in sorted(local.iterdir(), key=lambda file: file.name == "metadata.json"):
            store.write(file.name, file.read_bytes())
    for shard in range(len(ordered)):
        store.remove(_summary_name(shard))
    return totals


def _summary_name(shard: int) -> str:
    return f".shard-{shard:05d}.json"


def _refuse_inside(path: str, target: str) -> None:
    """UserError if the shards would lie among the images: a run that goes on would take them for a label."""
    outer, inner = (place if "://" in place else os.path.realpath(files.expand(place)) for place in (path, target))
    if f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/"):
        raise UserError(f"--target_path={target} lies in --path={path}: choose a place outside of it")


def _options(flags: list[str]) -> PipelineOptions:
    """Beam's options; UserError if neither this tool nor a runner knows a flag."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for kind in PipelineOptions.__subclasses__():
        # Beam has no public way to list its flags.
        kind._add_argparse_args(parser)  # pyright: ignore[reportArgumentType]
    unknown = parser.parse_known_args(flags)[1]
    if unknown:
        raise UserError(
            f"{unknown[0]} is a flag neither of this tool nor of Beam's runners; --help lists those of this tool"
        )
    return PipelineOptions(flags, default_sdk_harness_log_level="WARNING")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.beam_tfrecords", description=arguments.summary(__doc__),
        epilog="Further flags go to the runner, such as --direct_num_workers=4 --direct_running_mode=multi_processing.",
    )  # fmt: skip
    write_tfrecords.add_arguments(parser)
    parser.add_argument(
        "--manifest",
        help="JSON lines with the `path` of each image below --path, such as download_images leaves: saves listing "
        "a bucket of many millions",
    )
    parser.add_argument("--runner", choices=RUNNERS, default="DirectRunner", help="where it runs (default: here)")
    args, flags = parser.parse_known_args(argv)
    with errors.exit_on_error():
        options = _options(flags)
        if args.labels not in (None, "folders", "none"):
            raise UserError(f"--labels={args.labels}: files of labels are for write_tfrecords; here folders or none")
        spec = arguments.image_spec(args)
        write_tfrecords.check_number("shards", args.shards, plan.MAX_SHARDS)
        if args.manifest and "://" not in args.manifest and not files.expand(args.manifest).is_file():
            raise UserError(f"--manifest={args.manifest}: there is no such file")
        if "://" not in args.target_path:
            outputs.folder_to_write("target_path", args.target_path)
        store = filesystem.open_store(args.target_path)
        options.view_as(StandardOptions).runner = args.runner
        listing.open_folder(args.path)
        _refuse_inside(args.path, args.target_path)
        if store.size("metadata.json"):
            raise UserError(f"--target_path={args.target_path} holds finished shards: remove them or choose another")
        # Beam logs the traceback of whatever a worker raises, and then raises it here, where it becomes one line.
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        try:
            with beam.Pipeline(options=options) as root:
                pipeline(
                    root, args.path, args.target_path, manifest=args.manifest, spec=spec, labelling=args.labels,
                    shards=args.shards,
                )  # fmt: skip
        except Exception as error:  # runners wrap what workers raise, each in its own way
            text = f"{type(error).__name__}: {error}"
            user_error = re.search(r"UserError: (.*?)(?: \[while running .*)?$", text, re.MULTILINE)
            raise UserError(user_error.group(1)) if user_error else error from None
        metadata = json.loads(store.read("metadata.json"))
        counts = [metadata[key] for key in ("count", "rejects", "long", "blank", "words")]
        totals = write_tfrecords.Totals(*counts)
        print(write_tfrecords.report(totals, args.target_path, args))


if __name__ == "__main__":
    # Workers import what they run by the module's name, which __main__ is not.
    from data_prep import beam_tfrecords

    beam_tfrecords.main()
