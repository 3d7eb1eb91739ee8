"""The facts of all images of a folder, a bucket or TFRecord shards."""

import base64
import contextlib
import functools
import itertools
import json

import numpy as np
from PIL import Image

from data_prep import pool
from data_prep.doctor import look
from data_prep.doctor.duplicates import SIDE
from data_prep.pictures import convert
from data_prep.pictures.convert import Item
from logogan_jax.core import progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset

_TALLEST, _WIDEST = 96, 288  # pixels of a long image shown whole


class Images:
    """The files below a folder or bucket as Items, whose label is the name of the top sub-folder, or ""."""

    def __init__(self, path, flag):
        self.store, self.metadata = filesystem.open_store(path), None
        if not self.store.exists():
            raise UserError(f"--{flag}={path} is not a folder")
        self._count = sum(1 for _ in self)
        if not self._count:
            raise UserError(f"--{flag}={path} holds no file to look at")

    def __len__(self):
        return self._count

    def __iter__(self):
        for name in filesystem.image_names(self.store):
            yield Item(name, name.rpartition("/")[0].partition("/")[0], f"{self.store}/{name}")

    def notes(self):
        """Names of the files that say where images came from and under which licence."""
        return [name for name in self.store.names() if name.rpartition("/")[2] == "manifest.jsonl"]


class Records:
    """The records of a folder of our shards as Items, whose label is the name of their class, or ""."""

    def __init__(self, path):
        opened = TFRecordDataset.open(path)  # checks the files
        self.metadata, labels = opened.metadata, list(opened.labels)
        self._indexes, self._count = opened.indexes, len(opened)
        self._label = lambda number: labels[number] if labels else ""

    def __len__(self):
        return self._count

    def __iter__(self):
        for index in self._indexes:
            for number in range(len(index.offsets)):
                found = tfrecord.decode(tfrecord.read(index, number))
                name = found["name"].decode("utf-8", "backslashreplace")
                yield Item(name, self._label(found.get("label", 0)), found["image"])


def source(path, flag):
    """The Images of a folder or bucket, or the Records of a folder of our shards; UserError if there is neither."""
    there = filesystem.open_store(path)
    if there.exists() and there.size("metadata.json") is not None:
        if isinstance(there, filesystem.Bucket):
            raise UserError(f"--{flag}={path} holds shards in a bucket: copy them to a folder and give that")
        with contextlib.suppress(ValueError):
            metadata = json.loads(there.read("metadata.json"))
            if isinstance(metadata, dict) and {"size", "channels", "labels"} <= metadata.keys():
                return Records(path)
    return Images(path, flag)


class Survey:
    """What was found in a source: names, labels, facts (None of what cannot be read), reasons {i: why}, thumbnails."""

    def __init__(self, items, frame):
        self.names, self.labels, self.facts, self.reasons, thumbnails = [], [], [], {}, bytearray()
        shown, looked = itertools.tee(items)
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(progress.Bar("looking", len(items)))
            work = functools.partial(look.examine, frame=frame)
            outcomes = stack.enter_context(pool.map_ordered(work, looked))
            for number, (item, outcome) in enumerate(zip(shown, outcomes, strict=True)):
                failed = isinstance(outcome, pool.Failed)
                if failed:
                    self.reasons[number] = outcome.reason
                self.names.append(item.name)
                self.labels.append(item.label)
                self.facts.append(None if failed else outcome._replace(thumbnail=b""))
                thumbnails += bytes(SIDE * SIDE * 3) if failed else outcome.thumbnail
                bar.update(number + 1)
        self.thumbnails = np.frombuffer(thumbnails, np.uint8).reshape(-1, SIDE, SIDE, 3)

    def visible(self):
        """Numbers of the images in which there is something to see."""
        return [number for number, facts in enumerate(self.facts) if facts and not facts.empty]


def pictures(items, frame, squares=(), whole=()):
    """{name: PNG as a data URI} of some Items as squares and as they are: two dictionaries."""
    drawn = {}, {}
    for item in items:
        for names, shown, show in ((squares, drawn[0], _square), (whole, drawn[1], _whole)):
            if item.name in names and item.name not in shown:
                data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
                shown[item.name] = "data:image/png;base64," + base64.b64encode(show(data, frame)).decode()
    return drawn


def _square(data, frame):
    return convert.encode_png(convert.to_pillow(convert.to_pixels(convert.decode_for(data, frame), frame)))


def _whole(data, _):
    image = look.flat(convert.decode(data, _TALLEST))
    image.thumbnail((_WIDEST, _TALLEST), Image.Resampling.LANCZOS)
    return convert.encode_png(image)
