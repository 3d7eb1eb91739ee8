"""The description that makes a folder of shards a TensorFlow Datasets folder, and ours."""

import contextlib
import io
import json

from logogan_jax.data.dataset import MODES


def write(folder, *, name, spec, labels, lengths, nbytes, rejects, long, description):
    """Write dataset_info.json, features.json, label.labels.txt and our metadata.json into a folder of shards.

    `labels` is {name: images that have it}; `rejects` images could not be read, and `long` ones lose a
    third when they are cropped.
    """
    height, width, channels = spec.shape
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        # It announces at length that TensorFlow, which we do not need, is absent; and workers need none of it.
        import tensorflow_datasets as tfds
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=spec.shape, encoding_format="png"),
            "label": tfds.features.ClassLabel(**({"names": list(labels)} if labels else {"num_classes": 1})),
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
    ours = {
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
        "labels": dict(labels),
    }
    (folder / "metadata.json").write_text(json.dumps(ours, indent=2) + "\n")
