"""TensorFlow and TensorFlow Datasets, in an environment of their own, and grain read our shards as we do."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import drawing
from PIL import Image

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset

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


@pytest.fixture(params=["fifty", "two in five shards"])
def folder(request, shards, tmp_path):
    """The usual shards, and some of which three have no record."""
    if request.param == "fifty":
        return shards
    items = [Item(f"{i}.png", i, encode_png(drawing(i))) for i in range(2)]
    values = dict(spec=ImageSpec(28), name="few", labels=["box", "disc"], description="Few.", shards=5, workers=0)
    write_tfrecords.write(items, tmp_path / "few", **values)
    return tmp_path / "few"


def test_grain_reads_the_same_records(folder):
    grain = pytest.importorskip("grain.experimental")
    read = [record for path in sorted(folder.glob("*.tfrecord-*")) for record in grain.TFRecordIterDataset(str(path))]
    ours = TFRecordDataset(folder, size=(28, 28), channels=3)
    assert len(read) == len(ours)
    for position, record in enumerate(read):
        found = tfrecord.decode(record)
        image, label = ours.image(position)
        assert label == found.get("label", 0)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found["image"]))), image)


@pytest.mark.slow
def test_tensorflow_reads_the_same_pixels(folder, tensorflow, tmp_path):
    shards, out = folder, tmp_path / "read.npz"
    subprocess.run([tensorflow, "-c", READ, str(shards), str(out)], check=True, capture_output=True, text=True)
    theirs = np.load(out)
    ours = TFRecordDataset(shards, size=(28, 28), channels=3)
    pixels, labels = ours.images(np.arange(len(ours)))
    # TFDS interleaves shards as it likes; names say which is which.
    order = np.argsort(theirs["raw_name"])
    theirs_order = np.argsort(theirs["name"])
    np.testing.assert_array_equal(theirs["name"][theirs_order], theirs["raw_name"][order])
    np.testing.assert_array_equal(theirs["image"][theirs_order], pixels[order])
    np.testing.assert_array_equal(theirs["label"][theirs_order], labels[order])
