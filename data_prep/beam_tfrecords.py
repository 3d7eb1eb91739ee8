"""write_tfrecords on many machines: an Apache Beam pipeline that writes the same shards, byte for byte.

    python -m data_prep.beam_tfrecords --path=gs://mine/logos --size=112 --target_path=gs://mine/shards \\
        --runner=DataflowRunner --project=mine --region=europe-west1 --temp_location=gs://mine/tmp

Only names travel between machines: they are grouped by shard, and one worker reads, converts and writes
the images of one shard. Folders and buckets may be mixed. A folder without metadata.json is unfinished;
the same command goes on with the shards that are missing. docs/scale.md plans a hundred million images.
"""

import argparse
import functools
import hashlib
import json
import logging
import pathlib
import re
import tempfile

from data_prep import arguments, pool, write_tfrecords
from data_prep.pictures import convert
from data_prep.pictures.convert import Item
from data_prep.shards import plan, shard_files
from logogan_jax.core import errors
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

logging.disable(logging.WARNING)  # Beam tells what it can do without
import apache_beam as beam  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions  # noqa: E402
from apache_beam.pvalue import AsSingleton  # noqa: E402

logging.disable(logging.NOTSET)

READERS = 4  # processes for one shard of a bucket, which they mostly wait for
RUNNERS = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")


def pipeline(root, path, target, *, manifest, spec, labelled, shards):
    """Add everything to a Beam pipeline; what it leaves at `target` is described in write_tfrecords.write."""
    name = write_tfrecords.dataset_name(path)
    if manifest:
        found = root | beam.io.ReadFromText(manifest) | "names" >> beam.Map(lambda line: json.loads(line)["path"])
    else:
        found = root | beam.Create([path]) | "names" >> beam.FlatMap(_names)
    names = found | beam.Reshuffle()
    tops = names | "tops" >> beam.FlatMap(_top) | beam.Distinct() | "labels" >> beam.combiners.ToList()
    labels = AsSingleton(tops | "check" >> beam.Map(_labels, labelled=labelled))
    count = names | beam.combiners.Count.Globally()
    number = count | "shards" >> beam.Map(lambda images: shards or plan.shard_count(images))
    placed = names | "place" >> beam.Map(_placed, AsSingleton(number))
    every = number | beam.FlatMap(lambda shards: [(shard, None) for shard in range(shards)])  # the empty ones too
    notes = (
        {"names": placed, "every": every}
        | beam.CoGroupByKey()
        | beam.Map(_write_shard, AsSingleton(number), labels, name, path, target, spec)
        | "notes" >> beam.combiners.ToList()
    )
    return notes | beam.Map(_finish, labels, name, target, spec)


def _names(path):
    return filesystem.image_names(filesystem.open_store(path))


def _top(name):
    """The label that a name stands for; "" if it is in no sub-folder."""
    top, below, _ = name.partition("/")
    return [top if below else ""]


def _labels(tops, labelled):
    if not labelled or tops == [""]:
        return []
    if "" in tops:
        raise UserError(
            "--path has files beside its sub-folders, so they have no label: move them into a sub-folder, "
            "or use --labels=none"
        )
    return sorted(tops)


def _placed(name, shards):
    return plan.shard_index(plan.name_digest(name), shards), name


def _write_shard(grouped, shards, labels, name, path, target, spec):
    """One shard's names to its file -> (shard, what it holds), read from its note if it was written before."""
    shard, found = grouped
    numbers, where = {label: number for number, label in enumerate(labels)}, filesystem.open_store(path)
    items = plan.sort_items(
        Item(image, numbers.get(image.partition("/")[0], 0), f"{where}/{image}") for image in found["names"]
    )
    there, file = filesystem.open_store(target), shard_files.shard_path(pathlib.PurePath(), name, shard, shards).name
    wanted = [file, *spec, [[item.name, item.label] for item in items]]
    identity = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    note = _note(shard)
    if there.size(note) and there.size(file) is not None:
        before = json.loads(there.read(note))
        if before["identity"] == identity:
            return shard, before
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder) / file
        work = functools.partial(convert.convert, spec=spec)
        # In processes of their own, which a hostile image may bring down, where the worker's must go on.
        with pool.map_ordered(work, items, workers=READERS if isinstance(where, filesystem.Bucket) else 1) as results:
            made = shard_files.write_shard(local, zip(items, results, strict=True))
        there.put(file, local)
    there.write(note, json.dumps({**made, "identity": identity}).encode())
    return shard, made


def _finish(notes, labels, name, target, spec):
    """Describe the shards; metadata.json, which says that they are whole, comes last."""
    there, text = filesystem.open_store(target), f"Images of a folder, {arguments.describe_size(spec)}."
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder)
        held = [note for _, note in sorted(notes, key=lambda note: note[0])]
        outcome = write_tfrecords.finish(local, held, spec=spec, name=name, labels=labels, description=text)
        for file in sorted(local.iterdir(), key=lambda file: file.name == "metadata.json"):
            there.write(file.name, file.read_bytes())
    for shard in range(len(held)):
        there.remove(_note(shard))
    return outcome


def _note(shard):
    return f".shard-{shard:05d}.json"


def _options(flags):
    """Beam's options; a flag that no runner knows is the user's mistake."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)  # how Beam lets options declare their flags
    unknown = parser.parse_known_args(flags)[1]
    if unknown:
        raise UserError(f"{unknown[0]} is a flag neither of this tool nor of Beam's runners; --help lists the first")
    return PipelineOptions(flags, default_sdk_harness_log_level="WARNING")


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.beam_tfrecords", description=__doc__.split("\n", 1)[0],
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
        options, spec, there = _options(flags), arguments.image_spec(args), filesystem.open_store(args.target_path)
        options.view_as(StandardOptions).runner = args.runner
        if not filesystem.open_store(args.path).exists():
            raise UserError(f"--path={args.path} is not a folder")
        if there.size("metadata.json"):
            raise UserError(f"--target_path={args.target_path} holds finished shards: remove them or choose another")
        logging.getLogger("apache_beam").setLevel(logging.ERROR)
        labelled = args.labels == "folders"
        try:
            with beam.Pipeline(options=options) as root:
                pipeline(
                    root, args.path, args.target_path, manifest=args.manifest, spec=spec, labelled=labelled,
                    shards=args.shards,
                )  # fmt: skip
        except Exception as error:  # runners wrap what workers raise, each in its own way
            mendable = re.search(r"UserError: ([^\n[]*)", f"{type(error).__name__}: {error}")
            raise UserError(mendable.group(1).strip()) if mendable else error from None
        found = json.loads(there.read("metadata.json"))
        print(write_tfrecords.report((found["count"], found["rejects"], found["long"]), args.target_path, args))


if __name__ == "__main__":
    # Workers import what they run by the module's name, which __main__ is not.
    from data_prep import beam_tfrecords

    beam_tfrecords.main()
