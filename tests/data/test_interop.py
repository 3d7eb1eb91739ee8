"""TensorFlow and TensorFlow Datasets, in an environment of their own, and grain read our shards as we do."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import wheels
from conftest import drawing
from PIL import Image

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset

READ = """
import sys, numpy as np, tensorflow as tf, tensorflow_datasets as tfds
for folder, out in zip(sys.argv[1::2], sys.argv[2::2]):
    builder = tfds.builder_from_directory(folder)
    rows = list(tfds.as_numpy(builder.as_dataset(split="train", shuffle_files=False)))
    assert builder.info.splits["train"].num_examples == len(rows)
    assert builder.info.features["label"].names == ["box", "disc"], builder.info.features
    files = sorted(tf.io.gfile.glob(folder + "/*.tfrecord-*"))
    raw = [bytes(record.numpy()) for record in tf.data.TFRecordDataset(files)]
    names = [tf.train.Example.FromString(record).features.feature["name"].bytes_list.value[0] for record in raw]
    np.savez(out, image=[row["image"] for row in rows], label=[row["label"] for row in rows],
             name=[row["name"] for row in rows], raw_name=names)
"""


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory):
    """A python with TensorFlow: $LOGOGAN_TENSORFLOW_PYTHON, or a fresh environment."""
    given = os.environ.get("LOGOGAN_TENSORFLOW_PYTHON")
    if given:
        return given
    folder = tmp_path_factory.mktemp("tensorflow")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    wanted = ["tensorflow-cpu>=2.20", "tensorflow-datasets>=4.9.10", "importlib_resources"]
    python = str(folder / "bin" / "python")
    # Most of what is installed is never imported, so nothing is compiled beforehand.
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile", *wanted]
    if wheels.uv():
        install = [wheels.uv(), "pip", "install", "-q", "--python", python, *wanted]
    got = subprocess.run(install, text=True, capture_output=True)
    if got.returncode:
        pytest.skip(f"TensorFlow cannot be installed here: {got.stderr[-300:]}")
    return python


FOLDERS = ("fifty", "two in five shards")


@pytest.fixture(scope="module")
def folders(shards, tmp_path_factory):
    """The usual shards, and some of which three have no record, by name."""
    items = [Item(f"{i}.png", i, encode_png(drawing(i))) for i in range(2)]
    values = dict(spec=ImageSpec(28), name="few", labels=["box", "disc"], description="Few.", shards=5, workers=0)
    few = tmp_path_factory.mktemp("interop") / "few"
    write_tfrecords.write(items, few, **values)
    return dict(zip(FOLDERS, (shards, few), strict=True))


@pytest.fixture(params=FOLDERS)
def folder(request, folders):
    return folders[request.param]


@pytest.fixture(scope="module")
def read_by_tensorflow(tensorflow, folders, tmp_path_factory):
    """What TensorFlow reads from each folder: {folder: arrays by name}."""
    out = tmp_path_factory.mktemp("read")
    files = {folder: out / f"{number}.npz" for number, folder in enumerate(folders.values())}
    words = [str(word) for pair in files.items() for word in pair]
    subprocess.run([tensorflow, "-c", READ, *words], check=True, capture_output=True, text=True)
    return {folder: np.load(file) for folder, file in files.items()}


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
def test_tensorflow_reads_the_same_pixels(folder, read_by_tensorflow):
    theirs = read_by_tensorflow[folder]
    ours = TFRecordDataset(folder, size=(28, 28), channels=3)
    pixels, labels = ours.images(np.arange(len(ours)))
    # TFDS interleaves shards as it likes; names say which is which.
    order = np.argsort(theirs["raw_name"])
    theirs_order = np.argsort(theirs["name"])
    np.testing.assert_array_equal(theirs["name"][theirs_order], theirs["raw_name"][order])
    np.testing.assert_array_equal(theirs["image"][theirs_order], pixels[order])
    np.testing.assert_array_equal(theirs["label"][theirs_order], labels[order])
