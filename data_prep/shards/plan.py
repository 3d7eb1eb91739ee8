"""Which images go into which shard, and in which order: a matter of their names alone.

A name's SHA-256, read as a fraction of one, is its place in the data set; shards are equal parts of it.
So the order mixes the labels, is the same for any number of shards, and needs no list of all names in
memory: the plan lies on the disk, a file for each shard.
"""

import hashlib
import json
import os
import pickle

from logogan_jax.core import files

IMAGES = 10_000  # in a shard of a large data set, about
FEW = 64  # at least, about, in a shard of a small one
SHARDS = 8  # of a data set between those
_HELD = 20_000  # items in memory before they go to the disk


def shard_count(count):
    """How many shards suit so many images."""
    return max(1, min(SHARDS, count // FEW), -(-count // IMAGES))


def name_digest(name):
    """A name's place in the data set, as 32 bytes."""
    return hashlib.sha256(os.fsencode(name)).digest()


def shard_index(place, shards):
    """The number of the shard that a place (32 bytes) belongs to."""
    return int.from_bytes(place[:8], "big") * shards >> 64


def sort_items(items):
    """Items of one shard, sorted by their places."""
    return sorted(items, key=lambda item: name_digest(item.name))


class ShardPlan:
    """Items spread over shards, in files below a folder, which is made anew.

    `counts` are the items of each shard; `identity` is a digest of all names, labels and sources (of
    files: size and time of change) in the order in which they came.
    """

    def __init__(self, folder, items, shards):
        self._folder, self.counts = folder, [0] * shards
        folder.mkdir()
        seen, held = hashlib.sha256(), [[] for _ in range(shards)]
        for number, item in enumerate(items, 1):
            seen.update(json.dumps([item.name, item.label, *_stamp(item.source)]).encode())
            shard = shard_index(name_digest(item.name), shards)
            held[shard].append(item)
            self.counts[shard] += 1
            if number % _HELD == 0:
                self._spill(held)
        self._spill(held)
        self.identity = seen.hexdigest()

    def items(self, shard):
        """The Items of a shard, in order."""
        path, found = self._folder / str(shard), []
        if path.exists():
            with open(path, "rb") as file:
                while file.peek(1):
                    found += pickle.load(file)
        return sort_items(found)

    def _spill(self, held):
        for shard, items in enumerate(held):
            if items:
                with open(self._folder / str(shard), "ab") as file:
                    pickle.dump(items, file)
                items.clear()


def resume(folder, plan, **settings):
    """Whether what lies in a folder was made by this plan and these settings; if not, it is to be noted there now."""
    path, wanted = folder / "plan.json", {"identity": plan.identity, "shards": len(plan.counts), **settings}
    if path.exists() and path.read_text() == files.to_json(wanted):
        return True
    files.write_json(path, wanted)
    return False


def _stamp(source):
    if isinstance(source, bytes):
        return [hashlib.sha256(source).hexdigest()]
    if "://" in source:
        return [source]
    try:
        found = os.stat(source)
    except OSError:
        return [source]
    return [source, found.st_size, found.st_mtime_ns]
