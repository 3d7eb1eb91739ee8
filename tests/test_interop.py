"""TensorFlow and TensorFlow Datasets, in an environment of their own, read our shards and get the same pixels."""

import os
import subprocess
import sys

import numpy as np
import pytest

from logogan_jax.data.shards import Shards, readers

READ = """
import sys, numpy as np, tensorflow as tf, tensorflow_datasets as tfds
builder = tfds.builder_from_directory(sys.argv[1])
rows = list(tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False)))
assert builder.info.splits["train"].num_examples == len(rows)
assert builder.info.features["label"].names == ["box", "disc"], builder.info.features
files = sorted(tf.io.gfile.glob(sys.argv[1] + "/*.tfrecord-*"))
raw = [bytes(record.numpy()) for record in tf.data.TFRecordDataset(files)]
names = [tf.train.Example.FromString(record).features.feature["name"].bytes_list.value[0] for record in raw]
np.savez(sys.argv[2], image=[row["image"] for row in rows], label=[row["label"] for row in rows],
         name=[row["name"] for row in rows], raw_name=names)
"""


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory):
    """A python with TensorFlow: $LOGOGAN_TENSORFLOW_PYTHON, or a fresh environment."""
    given = os.environ.get("LOGOGAN_TENSORFLOW_PYTHON")
    if given:
        return given
    folder = tmp_path_factory.mktemp("tensorflow")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    wanted = ["tensorflow-cpu>=2.20", "tensorflow-datasets>=4.9.10", "importlib_resources"]
    python = str(folder / "bin" / "python")
    got = subprocess.run([python, "-m", "pip", "install", "-q", *wanted], text=True, capture_output=True)
    if got.returncode:
        pytest.skip(f"TensorFlow cannot be installed here: {got.stderr[-300:]}")
    return python


@pytest.mark.slow
def test_tensorflow_reads_the_same_pixels(shards, tensorflow, tmp_path):
    out = tmp_path / "read.npz"
    subprocess.run([tensorflow, "-c", READ, str(shards), str(out)], check=True, capture_output=True, text=True)
    theirs = np.load(out)
    ours = Shards(shards, size=28, channels=3)
    with readers() as threads:
        pixels, labels = ours.images(np.arange(len(ours)), threads)
    # TFDS interleaves shards as it likes; names say which is which.
    order = np.argsort(theirs["raw_name"])
    theirs_order = np.argsort(theirs["name"])
    np.testing.assert_array_equal(theirs["name"][theirs_order], theirs["raw_name"][order])
    np.testing.assert_array_equal(theirs["image"][theirs_order], pixels[order])
    np.testing.assert_array_equal(theirs["label"][theirs_order], labels[order])
