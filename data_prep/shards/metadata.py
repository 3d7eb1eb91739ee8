"""The descriptions of a folder of shards: those of TensorFlow Datasets, and our metadata.json."""

import contextlib
import io
import json
import pathlib
from typing import Any

from data_prep.pictures.convert import ImageSpec
from logogan_jax.data.png import MODES


def write(
    folder: pathlib.Path, *, name: str, spec: ImageSpec, labels: dict[str, int], lengths: list[int], nbytes: int,
    rejects: int, long: int, description: str, blank: int = 0, words: int = 0,
) -> None:  # fmt: skip
    """Write dataset_info.json, features.json, label.labels.txt and our metadata.json into a folder of shards.

    `labels` is {name: number of images}; `lengths` are the records of each shard, and `nbytes` the bytes of all.
    `rejects` images could not be read; `long` images would lose a third or more if they were cropped.
    On `blank` images nothing can be seen; `words` images have words that are drawn in the bundled font.
    """
    height, width, channels = spec.shape
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        # Imported here because only this process needs it, not the workers, and because it announces at length that
        # TensorFlow is absent, which it does not need for this.
        import tensorflow_datasets
    tfds: Any = tensorflow_datasets  # pyright cannot see the modules that it loads when they are used
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=spec.shape, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=list(labels) or None, num_classes=None if labels else 1),
            "name": tfds.features.Text(),
            "sha256": tfds.features.Text(),
        }
    )
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=name, split="train", filetype_suffix="tfrecord"
    )
    split = tfds.core.SplitInfo(name="train", shard_lengths=lengths, num_bytes=nbytes, filename_template=template)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version("1.0.0"), data_dir=str(folder), module_name="data_prep"
    )
    info = tfds.core.DatasetInfo(builder=identity, features=features, description=description)
    info.set_file_format("tfrecord")
    info.set_splits(tfds.core.splits.SplitDict([split]))
    info.write_to_directory(folder)
    metadata = {
        "size": height,
        "width": width,
        "channels": channels,
        "mode": MODES[channels],
        "fit": spec.fit,
        "trim": spec.trim,
        "pixel_range": [0, 255],
        "background": "white" if channels != 4 else "none",
        "count": sum(lengths),
        "rejects": rejects,
        "long": long,
        "blank": blank,
        "words": words,
        "labels": dict(labels),
    }
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
