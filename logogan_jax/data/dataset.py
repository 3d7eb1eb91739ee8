"""A folder of TFRecord shards in the TFDS layout, checked against the config and open for random access."""

import hashlib
import json
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np

from logogan_jax.core import files, pointers
from logogan_jax.core.errors import UserError
from logogan_jax.data import decode_pool, png, tfrecord

_MAKE = "python -m data_prep.write_tfrecords --path=IMAGES --size={size}{width} --channels={channels} --target_path=DIR"


class DatasetInfo(NamedTuple):
    """What a run records of its data set.

    Attributes:
        fingerprint: digest of all records.
        images: number of images that are trained on.
        labels: number of images of each label in the whole set, in the order of the labels, or {} without labels.
        inks: flat colours of images that are trained on, such as "#ff8800", where a generator takes its colours from
            them.
    """

    fingerprint: str
    images: int
    labels: dict[str, int]
    inks: tuple[str, ...] = ()


class TFRecordDataset:
    """The images of one split, by position: `len(dataset)` images of `shape` (height, width, channels).

    `fingerprint` is a digest of all records in order; `labels` is {name: number of images} in the order of the
    labels, {} without; `metadata` is the content of metadata.json; `indexes` are the RecordIndexes of the shards.
    """

    def __init__(self, directory: str | pathlib.Path, *, size: tuple[int, int], channels: int, split: str = "train"):
        """Open the shards in a folder; UserError if they are missing, damaged or of another size."""
        self.directory = files.expand(directory)
        self.shape = (*size, channels)
        command = _command(self.shape)
        self.metadata = _load_metadata(self.directory, command)
        _check_shape(self.metadata, self.shape, self.directory, command)
        self.labels: dict[str, int] = self.metadata["labels"]
        self.indexes = [tfrecord.build_index(path) for path in _shard_paths(self.directory, split, command)]
        self._files = tfrecord.FileHandles()
        # Position of the first image of each shard, and at last the number of all images.
        self._starts = np.cumsum([0] + [len(index.offsets) for index in self.indexes])
        if len(self) != self.metadata["count"]:
            raise UserError(
                f"{self.directory} holds {len(self)} records, but its metadata.json says "
                f"{self.metadata['count']}: make them again: {command}"
            )
        self.fingerprint = hashlib.sha256("".join(index.digest for index in self.indexes).encode()).hexdigest()

    @classmethod
    def open(cls, directory: str | pathlib.Path) -> "TFRecordDataset":
        """Open a folder of shards of any shape."""
        metadata = read_metadata(directory)
        return cls(directory, size=(metadata["size"], metadata["width"]), channels=metadata["channels"])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def split(self, held_out: float, minimum: int) -> "tuple[Subset, Subset]":
        """Split off the last `held_out` (a share in [0, 1]) of the images.

        All images are trained on if fewer than `minimum` would be held out, which are too few to measure anything.

        Returns:
            (the images to train on, the images that are held out)
        """
        count = round(len(self) * held_out)
        if count < minimum:
            count = 0
        # A hash of the name decides an image's position, so the last images are a random sample.
        return Subset(self, 0, len(self) - count), Subset(self, len(self) - count, len(self))

    def image(self, position: int) -> tuple[np.ndarray, int]:
        """(pixels uint8[H, W, C], label) of the image at a position in the data set."""
        pixels, labels = self.images(np.array([position]))
        return pixels[0], int(labels[0])

    def name(self, position: int) -> str:
        """The name of the image at a position in the data set: that of its file below the folder it came from."""
        shard = int(np.searchsorted(self._starts, position, side="right")) - 1
        payload = self._files.read(self.indexes[shard], position - int(self._starts[shard]))
        return tfrecord.decode(payload)["name"].decode("utf-8", "backslashreplace")

    def images(self, positions: np.ndarray, needs_pixels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(pixels uint8[n, H, W, C], labels int32[n]) at positions int[n]; UserError if a record is damaged.

        Pixels are zero where bool[n] `needs_pixels` is false. This process decodes the images one by one; see
        decode_pool.decode_images for many images.
        """
        positions = np.asarray(positions, np.int64)
        shards = np.searchsorted(self._starts, positions, side="right") - 1
        numbers = positions - self._starts[shards]  # of the record in its shard
        pixels = np.zeros((len(positions), math.prod(self.shape)), np.uint8)
        labels = np.zeros(len(positions), np.int32)
        for i, (shard, number) in enumerate(zip(shards.tolist(), numbers.tolist(), strict=True)):
            needed = needs_pixels is None or needs_pixels[i]
            if not needed and not self.labels:
                continue
            payload = self._files.read(self.indexes[shard], number)
            try:
                image, label = tfrecord.decode_image(payload)
                labels[i] = label if self.labels else 0
                if needed:
                    pixels[i] = png.decode(image, self.shape)
            except (OSError, ValueError) as error:
                path = self.indexes[shard].path
                raise UserError(f"{path}, record {number}: {error}: {tfrecord.REMAKE}") from error
        return pixels.reshape(-1, *self.shape), labels


class Subset:
    """Consecutive images of a data set, from position `start` up to `stop`."""

    def __init__(self, dataset: TFRecordDataset, start: int, stop: int):
        self.dataset = dataset
        self.start = start
        self.shape = dataset.shape
        self._count = stop - start

    def __len__(self) -> int:
        return self._count

    def images(self, positions: np.ndarray, needs_pixels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As TFRecordDataset.images, at positions int[n] within the subset."""
        return self.dataset.images(np.asarray(positions) + self.start, needs_pixels)

    def pixels(self, limit: int | None = None) -> np.ndarray:
        """uint8[n, H, W, C] of all images, or of the first `limit`."""
        return decode_pool.decode_images(self, np.arange(min(len(self), limit or len(self))))[0]


def read_metadata(directory: str | pathlib.Path) -> dict[str, Any]:
    """The content of a folder's metadata.json (size, width, channels, count, labels, ...); UserError without."""
    command = _MAKE.format(size="PIXELS", width="", channels=3)
    return _load_metadata(files.expand(directory), command)


def _load_metadata(directory: pathlib.Path, command: str) -> dict[str, Any]:
    if not directory.is_dir():
        raise UserError(f"config.data.dir is {directory}, which is not a folder: make it: {command}")
    path = directory / "metadata.json"
    pointers.refuse(path)
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{directory} has no metadata.json, so it is not a folder of our shards: {command}") from None
    except ValueError as error:
        raise UserError(f"{path} is not readable JSON ({error}): make the shards again: {command}") from None
    if not (isinstance(metadata, dict) and "width" in metadata and isinstance(metadata.get("labels"), dict)):
        raise UserError(f"{path} was not written by this version: make the shards again: {command}")
    return metadata


def _shard_paths(directory: pathlib.Path, split: str, command: str) -> list[pathlib.Path]:
    """The files of a split, in order; UserError if one is missing."""
    paths = sorted(directory.glob(f"*-{split}.tfrecord-*-of-*"))
    expected = int(paths[0].name.rsplit("-of-", 1)[1]) if paths else 0
    if not paths or len(paths) != expected:
        raise UserError(
            f"{directory} holds {len(paths)} {split} shards of {expected or 'at least 1'}: "
            f"restore the missing files, or make them again: {command}"
        )
    return paths


def _check_shape(metadata: dict[str, Any], shape: tuple[int, int, int], directory: pathlib.Path, command: str) -> None:
    """Raise UserError if shards have another shape than the config: names the first key that differs, and the flags."""
    wanted = _config_values(*shape)
    actual = _config_values(metadata["size"], metadata["width"], metadata["channels"])
    differing = [key for key in wanted if wanted[key] != actual[key]]
    if differing:
        first = differing[0]
        flags = " ".join(f"--config.data.{key}={actual[key]}" for key in differing)
        describe = lambda value: value or "0 (square)"
        raise UserError(
            f"config.data.{first} is {describe(wanted[first])}, but {directory} holds images with {first} "
            f"{describe(actual[first])}: set {flags}, or make shards: {command}"
        )


def _config_values(height: int, width: int, channels: int) -> dict[str, int]:
    """A shape as the keys of config.data, where width 0 means square."""
    return {"size": height, "width": 0 if width == height else width, "channels": channels}


def _command(shape: tuple[int, int, int]) -> str:
    """The command that makes shards of a shape."""
    values = _config_values(*shape)
    width = f" --width={values['width']}" if values["width"] else ""
    return _MAKE.format(size=values["size"], width=width, channels=values["channels"])
