"""Where the images to inspect come from: a folder, a bucket, or a folder of TFRecord shards."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from data_prep import listing
from data_prep.pictures.convert import Item
from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset


class ImageFolder:
    """The files of a folder or bucket as Items.

    The label of an Item is the name of its top sub-folder, or "". `metadata` is None, as only shards have it.
    """

    metadata: dict[str, Any] | None = None

    def __init__(self, path: str, flag: str):
        self.store = listing.open_folder(path, flag)
        left_out: dict[str, str] = {}
        self._count = sum(1 for _ in listing.image_names(self.store, left_out))
        if left_out:
            print(listing.describe_left_out(path, left_out), flush=True)
        if not self._count:
            raise UserError(f"--{flag}={path} holds no file to look at")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for name in listing.image_names(self.store):
            label = name.rpartition("/")[0].partition("/")[0]
            yield Item(name, label, f"{self.store}/{name}")  # pyright: ignore[reportArgumentType] - a name here


class ShardRecords:
    """The records of a folder of shards as Items.

    The label of an Item is the name of its class, or "". `metadata` is what metadata.json holds.
    """

    def __init__(self, path: str | pathlib.Path):
        shards = TFRecordDataset.open(path)  # checks the files
        self.metadata: dict[str, Any] | None = shards.metadata
        self._labels = list(shards.labels)
        self._indexes = shards.indexes
        self._count = len(shards)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for index in self._indexes:
            for number in range(len(index.offsets)):
                record = tfrecord.decode(tfrecord.read(index, number))
                name = record["name"].decode("utf-8", "backslashreplace")
                label = self._labels[record.get("label", 0)] if self._labels else ""
                yield Item(name, label, record["image"])  # pyright: ignore[reportArgumentType] - a name here


def open_source(path: str, flag: str) -> ImageFolder | ShardRecords:
    """Open a folder or bucket of images, or a folder of shards; UserError if it is neither."""
    store = filesystem.open_store(path)
    if isinstance(store, filesystem.Folder):
        pointers.refuse(store.path / "metadata.json")
    if store.exists() and store.size("metadata.json") is not None:
        if isinstance(store, filesystem.Bucket):
            raise UserError(f"--{flag}={path} holds shards in a bucket: copy them to a folder and give that")
        with contextlib.suppress(ValueError):
            metadata = json.loads(store.read("metadata.json"))
            if isinstance(metadata, dict) and {"size", "channels", "labels"} <= metadata.keys():
                return ShardRecords(path)
    return ImageFolder(path, flag)
