"""What of a run's folder is in a bucket, and is brought there in an order that a killed run can be resumed from."""

import os
import pathlib
import time
from typing import NamedTuple

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import commit_markers, download
from logogan_jax.core.storage.object_store import alike, map_parallel

AGAIN = 1 << 20  # bytes a second at most at which a file that changes is copied again and again
_UNFINISHED = ".orbax-checkpoint-tmp"  # in the names of what Orbax is writing


class RunFiles(NamedTuple):
    """The files of a run's folder {name: (bytes, time)}, those of checkpoints by step, and whether some are begun."""

    loose: dict
    steps: dict
    unfinished: bool


def scan(folder):
    """The RunFiles of a run's folder as it is now."""
    loose, steps, unfinished = {}, {}, False
    for name, found in _stats(folder).items():
        step = commit_markers.step_of(name)
        if _UNFINISHED in name:
            unfinished = True
        elif step is not None:
            steps.setdefault(step, {})[name.split("/", 2)[2]] = found
        elif not download.is_hidden(name):
            loose[name] = found
    return RunFiles(loose, steps, unfinished)


def _stats(folder):
    """{name: (bytes, time of change)} of all files of a folder."""
    found = {}
    for root, _, names in os.walk(folder):
        for path in (pathlib.Path(root) / name for name in names):
            try:
                about = path.stat()
            except FileNotFoundError:  # removed meanwhile
                continue
            found[path.relative_to(folder).as_posix()] = about.st_size, about.st_mtime_ns
    return found


class Uploader:
    """The way from a run's folder to a Bucket, for the holder of a Lease.

    Files of others in the bucket are left alone; of what the run removes, so are all but checkpoints.
    """

    def __init__(self, folder, bucket, lease):
        self._here, self._bucket, self._lease, self._markers = (
            folder,
            bucket,
            lease,
            commit_markers.CommitMarkers(bucket),
        )
        # What is in the bucket, as it was here: {name: (bytes, time)}, when it was copied, {step: {name: (...)}}.
        self._sent, self._when, self._there = {}, {}, {}

    def start(self, objects, whole):
        """Find out what of the folder is in the bucket, by its objects and the checkpoints that are whole there."""
        loose, steps, _ = scan(self._here)
        same = lambda name: name in objects and alike(objects[name], self._here / name)
        self._sent = {name: found for name, found in loose.items() if same(name)}
        for step in commit_markers.marked_steps(objects):
            known = step in steps and commit_markers.describe_files(self._folder(step)) == whole.get(step)
            self._there[step] = steps[step] if known else {}

    def upload(self, everything):
        """Bring the bucket up to date -> whether there is more to do soon: what is being written, and large files.

        Those are copied again after a while only, unless `everything` is asked for or a checkpoint follows.
        """
        self._lease.confirm()
        loose, steps, unfinished = scan(self._here)
        newest = max(steps, default=-1)
        # A checkpoint of which files are missing is just being removed; one that has other files was made again.
        again = {step for step in steps.keys() & self._there.keys() if steps[step].items() - self._there[step].items()}
        gone = self._there.keys() - steps.keys() if steps else set()
        # What a run takes back that goes back to an older state, it takes back before its log says so: whoever
        # resumes in between finds the run as it was.
        back = again | {step for step in gone if step > newest}
        for step in sorted(back, reverse=True):
            self._remove(step)
        new = sorted(steps.keys() - self._there.keys())
        due = [name for name, found in loose.items() if self._due(name, found, everything or bool(new))]
        list(map_parallel(lambda name: self._send(name, loose[name]), due))
        for step in new:
            self._send_checkpoint(step, steps[step])
        if newest in self._there:
            for step in gone - back:
                self._remove(step)
        return unfinished or any(self._sent.get(name) != found for name, found in loose.items())

    def _due(self, name, found, everything):
        sent = self._sent.get(name)
        if sent is None or sent == found:
            return sent is None
        return everything or time.monotonic() - self._when.get(name, 0.0) > found[0] / AGAIN

    def _send(self, name, found):
        path = self._here / name
        try:
            if name.endswith(".jsonl"):  # which may end in half a line
                data = path.read_bytes()
                self._bucket.write(name, data[: data.rfind(b"\n") + 1])
            else:
                self._bucket.put(name, path)
        except (FileNotFoundError, UserError):
            if path.exists():
                raise
            return  # the run has removed it meanwhile
        self._sent[name], self._when[name] = found, time.monotonic()

    def _send_checkpoint(self, step, found):
        folder = self._folder(step)
        try:
            listed = commit_markers.describe_files(folder)
            self._markers.upload(step, folder, listed)
        except (FileNotFoundError, UserError):
            if _stats(folder) == found:
                raise
        if _stats(folder) != found:  # the run is removing it
            self._markers.remove_incomplete(step)
            return
        self._lease.confirm()
        self._markers.commit(step, listed)
        self._there[step] = found

    def _remove(self, step):
        self._lease.confirm()
        self._markers.remove(step)
        del self._there[step]

    def _folder(self, step):
        return self._here / "checkpoints" / str(step)
