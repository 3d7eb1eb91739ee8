"""Which images go into which shard, and in which order: decided by their names alone.

The SHA-256 of a name, read as a fraction of one, is its place in the data set, and every shard is an equal part of the
range. So the order mixes the labels and is the same for any number of shards. It needs no list of all names in memory:
the plan is on the disk, in one file per shard.
"""

import hashlib
import json
import os
import pathlib
import pickle
from collections.abc import Iterable
from typing import Any

from data_prep.pictures.convert import Item
from logogan_jax.core import files
from logogan_jax.core.storage import filesystem

IMAGES_PER_SHARD = 10_000  # about, in a large data set
MIN_IMAGES_PER_SHARD = 64  # about, in a small one
MAX_SHARDS = 99_999  # whose numbers have five digits in the names of their files
USUAL_SHARDS = 8  # in a data set of a size between those
ITEMS_IN_MEMORY = 20_000  # before they are written to the disk


def shard_count(images: int) -> int:
    """The number of shards that suits a number of images."""
    return max(1, min(USUAL_SHARDS, images // MIN_IMAGES_PER_SHARD), -(-images // IMAGES_PER_SHARD))


def name_digest(name: str) -> bytes:
    """The 32 bytes that decide an image's place in the data set."""
    return hashlib.sha256(os.fsencode(name)).digest()


def shard_index(digest: bytes, shards: int) -> int:
    """The shard that an image with a name_digest belongs to."""
    return int.from_bytes(digest[:8], "big") * shards >> 64


def sort_items(items: Iterable[Item]) -> list[Item]:
    """The Items of one shard in the order of their name_digests."""
    return sorted(items, key=lambda item: name_digest(item.name))


class ShardPlan:
    """Items distributed over shards, in files of a new folder.

    `counts` is the number of Items of each shard. `identity` is a digest of all names, labels and sources, in the
    order in which the Items came; of a source that is a file, it covers size and modification time.
    """

    def __init__(self, folder: pathlib.Path, items: Iterable[Item], shards: int):
        self._folder = folder
        self.counts = [0] * shards
        folder.mkdir()
        identity = hashlib.sha256()
        buffered: list[list[Item]] = [[] for _ in range(shards)]
        for number, item in enumerate(items, 1):
            identity.update(json.dumps([item.name, item.label, *_source_identity(item.source)]).encode())
            shard = shard_index(name_digest(item.name), shards)
            buffered[shard].append(item)
            self.counts[shard] += 1
            if number % ITEMS_IN_MEMORY == 0:
                self._flush(buffered)
        self._flush(buffered)
        self.identity = identity.hexdigest()

    def items(self, shard: int) -> list[Item]:
        """The Items of a shard, in order."""
        path = self._folder / str(shard)
        items: list[Item] = []
        if path.exists():
            with open(path, "rb") as file:
                while file.peek(1):
                    items += pickle.load(file)
        return sort_items(items)

    def _flush(self, buffered: list[list[Item]]) -> None:
        for shard, items in enumerate(buffered):
            if items:
                with open(self._folder / str(shard), "ab") as file:
                    pickle.dump(items, file)
                items.clear()


def resume(folder: pathlib.Path, plan: ShardPlan, **settings: Any) -> bool:
    """Whether the shards in a folder belong to this plan and these settings; if not, record both there."""
    path = folder / "plan.json"
    wanted = {"identity": plan.identity, "shards": len(plan.counts), **settings}
    if path.exists() and path.read_text(encoding="utf-8") == files.to_json(wanted):
        return True
    files.write_json(path, wanted)
    return False


def _source_identity(source: bytes | str) -> list[str | int]:
    if isinstance(source, bytes):
        return [hashlib.sha256(source).hexdigest()]
    if "://" in source:
        return [source]
    try:
        status = os.stat(source)
    except NotADirectoryError:  # in a zip
        archive = filesystem.zip_of(source)
        return [source, *(_source_identity(str(archive)) if archive else ())]
    except OSError:
        return [source]
    return [source, status.st_size, status.st_mtime_ns]
