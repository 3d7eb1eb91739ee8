"""A folder of TFRecord shards in the TFDS layout, checked against the config and open for random access."""

import hashlib
import json
import math
import pathlib
from typing import NamedTuple

import numpy as np

from logogan_jax.core.errors import UserError
from logogan_jax.data import decode_pool, png, tfrecord

MODES = png.MODES
_MAKE = "python -m data_prep.write_tfrecords --path=IMAGES --size={size}{width} --channels={channels} --target_path=DIR"


class DatasetInfo(NamedTuple):
    """What is remembered of a data set: its fingerprint, how many images are trained on, and its labels.

    `labels` is the number of images of each label in the whole set, in the order of the labels; {} without.
    """

    fingerprint: str
    images: int
    labels: dict[str, int]


class TFRecordDataset:
    """The records of one split: `len(shards)` images of `shape` (height, width, channels), by position.

    `fingerprint` is a digest of all records in order; `labels` is {name: images that have it} in the
    order of the labels, {} without; `metadata` is all that metadata.json says; `indexes` are those of the files.
    """

    def __init__(self, directory, *, size, channels, split="train"):
        self.directory, self.shape = pathlib.Path(directory).expanduser(), (*size, channels)
        make = _make(self.shape)
        metadata = _metadata(self.directory, make)
        _check(metadata, self.shape, self.directory, make)
        self.metadata, self.labels = metadata, metadata["labels"]
        files = sorted(self.directory.glob(f"*-{split}.tfrecord-*-of-*"))
        announced = int(files[0].name.rsplit("-of-", 1)[1]) if files else 0
        if not files or len(files) != announced:
            raise UserError(
                f"{self.directory} holds {len(files)} {split} shards of {announced or 'at least 1'}: "
                f"restore the missing files, or make them again: {make}"
            )
        self.indexes = [tfrecord.build_index(str(file)) for file in files]
        self._files = tfrecord.FileHandles()
        self._starts = np.cumsum([0] + [len(index.offsets) for index in self.indexes])
        if len(self) != metadata["count"]:
            raise UserError(
                f"{self.directory} holds {len(self)} records, but its metadata.json says "
                f"{metadata['count']}: make them again: {make}"
            )
        self.fingerprint = hashlib.sha256("".join(index.digest for index in self.indexes).encode()).hexdigest()

    @classmethod
    def open(cls, directory):
        """Open a folder of shards of any shape."""
        found = read_metadata(directory)
        return cls(directory, size=(found["size"], found["width"]), channels=found["channels"])

    def __len__(self):
        return int(self._starts[-1])

    def split(self, held_out, least):
        """(what is trained on, what is never trained on), the last `held_out` (a share) of the images, as Parts.

        Names decide the order of our shards, so the last are no others than the first. Where fewer than
        `least` would be held out, which measure nothing, all are trained on.
        """
        last = round(len(self) * held_out)
        last = last if last >= least else 0
        return Subset(self, 0, len(self) - last), Subset(self, len(self) - last, len(self))

    def image(self, position):
        """(uint8[H, W, C], label) of the image at a position in the data set."""
        pixels, labels = self.images([position])
        return pixels[0], int(labels[0])

    def images(self, positions, needs_pixels=None):
        """(uint8[n, H, W, C], int32[n]) at positions int[n]; black where bool[n] `needs_pixels` says that nobody looks.

        This process decodes them one by one; processes.images shares out many.
        """
        positions = np.asarray(positions, np.int64)
        shards = np.searchsorted(self._starts, positions, side="right") - 1
        places = zip(shards.tolist(), (positions - self._starts[shards]).tolist(), strict=True)
        pixels = np.zeros((len(positions), math.prod(self.shape)), np.uint8)
        labels = np.zeros(len(positions), np.int32)
        for i, (shard, number) in enumerate(places):
            seen = needs_pixels is None or needs_pixels[i]
            if not seen and not self.labels:
                continue
            payload = self._files.read(self.indexes[shard], number)
            try:
                image, label = tfrecord.decode_image(payload)
                labels[i] = label if self.labels else 0
                if seen:
                    pixels[i] = png.decode(image, self.shape)
            except (OSError, ValueError) as error:
                path = self.indexes[shard].path
                raise UserError(f"{path}, record {number}: {error}: {tfrecord.REMAKE}") from error
        return pixels.reshape(-1, *self.shape), labels


class Subset:
    """A run of a data set's images, from position `start` on, counted from 0."""

    def __init__(self, shards, start, stop):
        self.shards, self.start, self.shape = shards, start, shards.shape
        self._count = stop - start

    def __len__(self):
        return self._count

    def images(self, positions, needs_pixels=None):
        """As TFRecordDataset.images, at positions int[n] within the part."""
        return self.shards.images(np.asarray(positions) + self.start, needs_pixels)

    def pixels(self, most=None):
        """uint8[n, H, W, C] of all images, or of the first `most`."""
        return decode_pool.decode_images(self, np.arange(min(len(self), most or len(self))))[0]


def read_metadata(directory):
    """What metadata.json says of a folder of shards: a dictionary with size, width, channels, count, labels, ..."""
    return _metadata(pathlib.Path(directory).expanduser(), _MAKE.format(size="PIXELS", width="", channels=3))


def _metadata(directory, make):
    if not directory.is_dir():
        raise UserError(f"config.data.dir is {directory}, which is not a folder: make it: {make}")
    path = directory / "metadata.json"
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{directory} has no metadata.json, so it is not a folder of our shards: {make}") from None
    except ValueError as error:
        raise UserError(f"{path} is not readable JSON ({error}): make the shards again: {make}") from None
    if not (isinstance(found, dict) and "width" in found and isinstance(found.get("labels"), dict)):
        raise UserError(f"{path} is not of this version's shards: make them again: {make}")
    return found


def _check(metadata, shape, directory, make):
    """Refuse shards of another shape, naming the first key that differs, and all that mend it."""
    wanted, held = _values(*shape), _values(*(metadata[key] for key in ("size", "width", "channels")))
    differ = [key for key in wanted if wanted[key] != held[key]]
    if differ:
        first, flags = differ[0], " ".join(f"--config.data.{key}={held[key]}" for key in differ)
        spoken = lambda value: value or "0 (square)"
        raise UserError(
            f"config.data.{first} is {spoken(wanted[first])}, but {directory} holds images with {first} "
            f"{spoken(held[first])}: set {flags}, or make shards: {make}"
        )


def _values(height, width, channels):
    """A shape as config.data tells it."""
    return {"size": height, "width": 0 if width == height else width, "channels": channels}


def _make(shape):
    """The command that makes shards of a shape."""
    values = _values(*shape)
    return _MAKE.format(**{**values, "width": f" --width={values['width']}" if values["width"] else ""})
