"""Checkpoints in a bucket, each there whole or not at all.

checkpoints/500.whole lists the files of checkpoints/500/ and is written after them; while they come or go,
checkpoints/500.torn does. A checkpoint is there if the first is and the sizes agree.
"""

import hashlib
import json
import os
import pathlib
import re
from typing import NamedTuple

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.object_store import Unreachable, map_parallel

_OURS = re.compile(r"checkpoints/(\d+)(/|\.whole$|\.torn$)")


class FileDigest(NamedTuple):
    """What a mark tells of a file: its bytes and their SHA-256."""

    size: int
    sha256: str


def step_of(name):
    """The step to whose checkpoint an object belongs by its name, as a mark of it or as a file in it, or None."""
    found = _OURS.match(name)
    return int(found[1]) if found else None


def steps(objects):
    """The steps of which there is anything among a bucket's objects."""
    return {step_of(name) for name in objects} - {None}


def marked_steps(objects):
    """The steps of which a bucket's objects have a mark that they are whole."""
    return {step for step in steps(objects) if f"{_at(step)}.whole" in objects}


def describe_files(folder):
    """{name: FileDigest} of the files of a folder."""
    paths = [pathlib.Path(root) / name for root, _, names in os.walk(folder) for name in names]
    return {path.relative_to(folder).as_posix(): _file(path) for path in paths}


def _file(path):
    with open(path, "rb") as file:
        return FileDigest(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


class CommitMarkers:
    """The checkpoints in a Bucket."""

    def __init__(self, bucket):
        self._bucket = bucket

    def complete(self, objects):
        """{step: {name: FileDigest}} of the checkpoints that are there, by the bucket's objects {name: Object}.

        A UserError tells that somebody else put checkpoints there, of which nobody knows whether they are whole.
        """
        there = marked_steps(objects)
        unknown = steps(objects) - there - {step for step in steps(objects) if f"{_at(step)}.torn" in objects}
        if unknown and not there:
            step = max(unknown)
            raise UserError(
                f"{self._bucket}/{_at(step)} has no {_at(step)}.whole, which a run writes once all of it is there: "
                f"copy the run to a folder of this machine and use it there, or give another --workdir"
            )
        listed = {step: self._listed(f"{_at(step)}.whole") for step in sorted(there)}
        agree = lambda step, name, file: (objects.get(f"{_at(step)}/{name}") or [None])[0] == file.size
        return {
            step: files
            for step, files in listed.items()
            if files is not None and all(agree(step, *item) for item in files.items())
        }

    def upload(self, step, folder, files):
        """Copy the files {name: FileDigest} of a folder, which is not yet whole by that."""
        self.remove_incomplete(step)
        self._bucket.write(f"{_at(step)}.torn", _text(files))
        list(map_parallel(lambda name: self._bucket.put(f"{_at(step)}/{name}", folder / name), files))
        arrived = self._bucket.objects(_at(step))
        for name, file in files.items():
            if f"{_at(step)}/{name}" not in arrived or arrived[f"{_at(step)}/{name}"].size != file.size:
                raise Unreachable(f"{self._bucket}/{_at(step)}/{name} did not arrive whole: run the same command again")

    def commit(self, step, files):
        """Let the files that were sent be whole."""
        self._bucket.write(f"{_at(step)}.whole", _text(files))
        self._bucket.remove(f"{_at(step)}.torn")

    def remove(self, step):
        """Take a checkpoint away."""
        files = self._listed(f"{_at(step)}.whole")
        if files is not None:
            self._bucket.write(f"{_at(step)}.torn", _text(files))
            self._bucket.remove(f"{_at(step)}.whole")
        self.remove_incomplete(step)

    def remove_incomplete(self, step):
        """Take away what is there of a checkpoint that is not whole: the files that its mark lists, and no others."""
        files = self._listed(f"{_at(step)}.torn")
        if files is not None:
            list(map_parallel(lambda name: self._bucket.remove(f"{_at(step)}/{name}"), files))
            self._bucket.remove(f"{_at(step)}.torn")

    def repair(self, objects):
        """Finish what a killed run began, by the bucket's objects."""
        for step in steps(objects):
            if f"{_at(step)}.torn" in objects:
                if f"{_at(step)}.whole" in objects:
                    self._bucket.remove(f"{_at(step)}.torn")  # all files are there: they had come, or were to go
                else:
                    self.remove_incomplete(step)

    def _listed(self, name):
        """{name: FileDigest} of a mark, or None if it is not there."""
        try:
            found = json.loads(self._bucket.read(name))
            return {name: FileDigest(file["size"], file["sha256"]) for name, file in found["files"].items()}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{self._bucket}/{name} is damaged: remove it to go on without that checkpoint") from None


def _at(step):
    return f"checkpoints/{step}"


def _text(files):
    return json.dumps({"files": {name: file._asdict() for name, file in files.items()}}, indent=2).encode()
