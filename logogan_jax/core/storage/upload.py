"""What of a run's folder is in a bucket, and is uploaded in an order that a killed run can be resumed from."""

import json
import os
import pathlib
import time
from typing import NamedTuple

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import commit_markers, download
from logogan_jax.core.storage.commit_markers import CommitMarkers, FileDigest
from logogan_jax.core.storage.lease import Lease
from logogan_jax.core.storage.object_store import Bucket, ObjectInfo, has_digest_of, map_parallel

REPEAT_RATE = 1 << 20  # bytes a second at most at which a file that changes is uploaded again and again
_UNFINISHED = ".orbax-checkpoint-tmp"  # in the names of what Orbax is writing


class FileState(NamedTuple):
    """How a file is now: its size in bytes, and when it was changed, in nanoseconds."""

    size: int
    changed: int


class RunFiles(NamedTuple):
    """The files of a run's folder."""

    outside: dict[str, FileState]  # of checkpoints
    checkpoints: dict[int, dict[str, FileState]]  # {step: {name in the checkpoint: FileState}}
    unfinished: bool  # whether a checkpoint is being written


def scan(folder: pathlib.Path) -> RunFiles:
    """Return the files of a run's folder as they are now."""
    outside: dict[str, FileState] = {}
    checkpoints: dict[int, dict[str, FileState]] = {}
    unfinished = False
    for name, state in _file_states(folder).items():
        step = commit_markers.step_of(name)
        if _UNFINISHED in name:
            unfinished = True
        elif step is not None:
            checkpoints.setdefault(step, {})[name.split("/", 2)[2]] = state
        elif not download.is_hidden(name):
            outside[name] = state
    return RunFiles(outside, checkpoints, unfinished)


def _file_states(folder: pathlib.Path) -> dict[str, FileState]:
    """Return {relative name: FileState} of all files of a folder."""
    states = {}
    for root, _, names in os.walk(folder):
        for path in (pathlib.Path(root) / name for name in names):
            try:
                status = path.stat()
            except FileNotFoundError:  # removed meanwhile
                continue
            states[path.relative_to(folder).as_posix()] = FileState(status.st_size, status.st_mtime_ns)
    return states


def _went_back_to_start(folder: pathlib.Path) -> bool:
    """Return whether the last roll-back of a run went to step 0, of which there is no checkpoint."""
    try:
        text = (folder / "events.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    events = map(json.loads, text.split("\n")[:-1])
    targets = [event.get("to") for event in events if event["action"] == "roll back"]
    return targets[-1:] == [0]


class Uploader:
    """Uploads a run's folder to a Bucket, for the holder of a Lease.

    Files of others in the bucket are left alone. Of what the run removes, only checkpoints are removed there.
    """

    def __init__(self, folder: pathlib.Path, bucket: Bucket, lease: Lease):
        self._folder = folder
        self._bucket = bucket
        self._lease = lease
        self._markers = CommitMarkers(bucket)
        # What is in the bucket, as the files were here when they were uploaded.
        self._uploaded: dict[str, FileState] = {}
        self._checkpoints: dict[int, dict[str, FileState]] = {}
        self._upload_times: dict[str, float] = {}

    def start(self, objects: dict[str, ObjectInfo], complete: dict[int, dict[str, FileDigest]]) -> None:
        """Find out what of the folder is in the bucket, by its objects and the checkpoints that are complete there."""
        here = scan(self._folder)
        for name, state in here.outside.items():
            if name in objects and has_digest_of(objects[name], self._folder / name):
                self._uploaded[name] = state
        for step in commit_markers.marked_steps(objects):
            same = step in here.checkpoints and self._describe(step) == complete.get(step)
            self._checkpoints[step] = here.checkpoints[step] if same else {}

    def upload(self, urgent: bool) -> bool:
        """Bring the bucket up to date. Returns whether there is more to do soon.

        That is so while a checkpoint is being written, or large files change: those are uploaded again only after a
        while, unless the upload is `urgent` or a checkpoint follows.
        """
        self._lease.confirm()
        here = scan(self._folder)
        retracted = self._retracted_steps(here)
        # What a run takes back that returns to an older state, it takes back before its log says so: whoever resumes
        # in between finds the run as it was.
        for step in sorted(retracted, reverse=True):
            self._remove(step)
        new = sorted(here.checkpoints.keys() - self._checkpoints.keys())
        due = [name for name, state in here.outside.items() if self._is_due(name, state, urgent or bool(new))]
        # The log goes before the checkpoints that it leads to.
        list(map_parallel(lambda name: self._upload_file(name, here.outside[name]), due))
        for step in new:
            self._upload_checkpoint(step, here.checkpoints[step])
        # An old checkpoint goes only when the one that replaces it is complete.
        if max(here.checkpoints, default=-1) in self._checkpoints:
            for step in self._checkpoints.keys() - here.checkpoints.keys():
                self._remove(step)
        changed = any(self._uploaded.get(name) != state for name, state in here.outside.items())
        return here.unfinished or changed

    def _retracted_steps(self, here: RunFiles) -> set[int]:
        """Return the steps in the bucket that the run has gone back behind, or has reached again with other states."""
        if not here.checkpoints:  # somebody may have removed the folder, unless the run itself says why
            return set(self._checkpoints) if _went_back_to_start(self._folder) else set()
        # A checkpoint of which files are missing is just being removed; one that has other files was made again.
        made_again = {
            step
            for step in here.checkpoints.keys() & self._checkpoints.keys()
            if here.checkpoints[step].items() - self._checkpoints[step].items()
        }
        newest = max(here.checkpoints)
        return made_again | {step for step in self._checkpoints if step > newest}

    def _is_due(self, name: str, state: FileState, urgent: bool) -> bool:
        uploaded = self._uploaded.get(name)
        if uploaded is None or uploaded == state:
            return uploaded is None
        return urgent or time.monotonic() - self._upload_times.get(name, 0.0) > state.size / REPEAT_RATE

    def _upload_file(self, name: str, state: FileState) -> None:
        path = self._folder / name
        try:
            if name.endswith(".jsonl"):  # which may end in half a line
                content = path.read_bytes()
                self._bucket.write(name, content[: content.rfind(b"\n") + 1])
            else:
                self._bucket.put(name, path)
        except (FileNotFoundError, UserError):
            if path.exists():
                raise
            return  # the run has removed it meanwhile
        self._uploaded[name] = state
        self._upload_times[name] = time.monotonic()

    def _upload_checkpoint(self, step: int, states: dict[str, FileState]) -> None:
        folder = self._checkpoint_folder(step)
        try:
            listed = self._describe(step)
            self._markers.upload(step, folder, listed)
        except (FileNotFoundError, UserError):
            if _file_states(folder) == states:
                raise
            listed = None
        if listed is None or _file_states(folder) != states:  # the run is removing it
            self._markers.remove_incomplete(step)
            return
        self._lease.confirm()
        self._markers.commit(step, listed)
        self._checkpoints[step] = states

    def _remove(self, step: int) -> None:
        self._lease.confirm()
        self._markers.remove(step)
        del self._checkpoints[step]

    def _describe(self, step: int) -> dict[str, FileDigest]:
        return commit_markers.describe_files(self._checkpoint_folder(step))

    def _checkpoint_folder(self, step: int) -> pathlib.Path:
        return self._folder / "checkpoints" / str(step)
