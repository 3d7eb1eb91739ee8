"""Checkpoints in a bucket, each there whole or not at all.

checkpoints/500.whole lists the files of checkpoints/500/ and is written after them. checkpoints/500.torn is there while
they come or go. A checkpoint is complete if the first is there and the sizes of its files agree.
"""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Collection
from typing import NamedTuple

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.object_store import Bucket, ObjectInfo, Unreachable, map_parallel

_CHECKPOINT_NAME = re.compile(r"checkpoints/(\d+)(/|\.whole$|\.torn$)")


class FileDigest(NamedTuple):
    """What a marker tells of a file: its size in bytes, and its SHA-256."""

    size: int
    sha256: str


def step_of(name: str) -> int | None:
    """Return the step of the checkpoint to which an object belongs, as a file or a marker; None for other objects."""
    match = _CHECKPOINT_NAME.match(name)
    return int(match[1]) if match else None


def steps(objects: Collection[str]) -> set[int]:
    """Return the steps of all checkpoints of which there is anything among the names of objects."""
    return {step for name in objects if (step := step_of(name)) is not None}


def marked_steps(objects: Collection[str]) -> set[int]:
    """Return the steps that the names of objects mark as complete."""
    return {step for step in steps(objects) if _complete_marker(step) in objects}


def describe_files(folder: pathlib.Path) -> dict[str, FileDigest]:
    """Return {relative name: FileDigest} of the files of a folder."""
    paths = [pathlib.Path(root) / name for root, _, names in os.walk(folder) for name in names]
    return {path.relative_to(folder).as_posix(): _describe_file(path) for path in paths}


def _describe_file(path: pathlib.Path) -> FileDigest:
    with open(path, "rb") as file:
        return FileDigest(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


class CommitMarkers:
    """The markers of the checkpoints in a Bucket."""

    def __init__(self, bucket: Bucket):
        self._bucket = bucket

    def complete(self, objects: dict[str, ObjectInfo]) -> dict[int, dict[str, FileDigest]]:
        """Return {step: {name in the checkpoint: FileDigest}} of the complete checkpoints, by the bucket's objects.

        Raises a UserError if somebody put checkpoints there by other means: nobody knows whether they are complete.
        """
        marked = marked_steps(objects)
        unknown = {step for step in steps(objects) - marked if _incomplete_marker(step) not in objects}
        if unknown and not marked:
            step = max(unknown)
            raise UserError(
                f"{self._bucket}/{_folder(step)} has no {_complete_marker(step)}, which a run writes once all of it is "
                f"there: copy the run to a folder of this machine and use it there, or give another --workdir"
            )
        listings = {step: self._read(_complete_marker(step)) for step in sorted(marked)}
        return {
            step: listing
            for step, listing in listings.items()
            if listing is not None and not _missing_file(objects, step, listing)
        }

    def upload(self, step: int, folder: pathlib.Path, listing: dict[str, FileDigest]) -> None:
        """Upload the listed files of a checkpoint's folder; only `commit` makes it complete.

        Raises Unreachable if one of them did not arrive whole.
        """
        self.remove_incomplete(step)
        self._write(_incomplete_marker(step), listing)
        list(map_parallel(lambda name: self._bucket.put(f"{_folder(step)}/{name}", folder / name), listing))
        missing = _missing_file(self._bucket.objects(_folder(step)), step, listing)
        if missing:
            raise Unreachable(f"{self._bucket}/{missing} did not arrive whole: run the same command again")

    def commit(self, step: int, listing: dict[str, FileDigest]) -> None:
        """Mark an uploaded checkpoint as complete."""
        self._write(_complete_marker(step), listing)
        self._bucket.remove(_incomplete_marker(step))

    def remove(self, step: int) -> None:
        """Remove a checkpoint."""
        listing = self._read(_complete_marker(step))
        if listing is not None:
            self._write(_incomplete_marker(step), listing)
            self._bucket.remove(_complete_marker(step))
        self.remove_incomplete(step)

    def remove_incomplete(self, step: int) -> None:
        """Remove what is there of an incomplete checkpoint: the files that its marker lists, and no others."""
        listing = self._read(_incomplete_marker(step))
        if listing is not None:
            list(map_parallel(lambda name: self._bucket.remove(f"{_folder(step)}/{name}"), listing))
            self._bucket.remove(_incomplete_marker(step))

    def repair(self, objects: Collection[str]) -> None:
        """Finish what a killed run has begun, by the names of the bucket's objects."""
        for step in steps(objects):
            if _incomplete_marker(step) in objects:
                if _complete_marker(step) in objects:
                    # All files are there: they had all come, or none was removed yet.
                    self._bucket.remove(_incomplete_marker(step))
                else:
                    self.remove_incomplete(step)

    def _write(self, name: str, listing: dict[str, FileDigest]) -> None:
        content = {"files": {name: digest._asdict() for name, digest in listing.items()}}
        self._bucket.write(name, json.dumps(content, indent=2).encode())

    def _read(self, name: str) -> dict[str, FileDigest] | None:
        """Return {name in the checkpoint: FileDigest} of a marker, or None if there is no such marker."""
        try:
            listing = json.loads(self._bucket.read(name))["files"]
            return {name: FileDigest(entry["size"], entry["sha256"]) for name, entry in listing.items()}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{self._bucket}/{name} is damaged: remove it to go on without that checkpoint") from None


def _missing_file(objects: dict[str, ObjectInfo], step: int, listing: dict[str, FileDigest]) -> str | None:
    """Return the name of a listed file that is not among the objects, or has another size there; None if all agree."""
    for name, digest in listing.items():
        key = f"{_folder(step)}/{name}"
        if key not in objects or objects[key].size != digest.size:
            return key
    return None


def _folder(step: int) -> str:
    return f"checkpoints/{step}"


def _complete_marker(step: int) -> str:
    return f"checkpoints/{step}.whole"


def _incomplete_marker(step: int) -> str:
    return f"checkpoints/{step}.torn"
