"""The folder of one run, locked against a second process."""

import contextlib
import errno
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from logogan_jax.core import files, locks
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import sync
from logogan_jax.distributed import multihost
from logogan_jax.training.reporting import run_writer

# What a run leaves that failed at its start: an empty folder, and weights that no config.json names.
_OF_A_START = (".lock", ".probe", "checkpoints", "warm_start.npz")
_LOGS = ("config.json", "metrics.jsonl", "events.jsonl")  # what decides how a run goes on, except for its checkpoints

# What file systems answer that can write files but not append to them or replace them.
_NOT_SUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EIO)


class Workdir(NamedTuple):
    """A folder that this process writes to, a function that requests a copy of it where the run is kept, and whether
    that is in a bucket."""

    folder: pathlib.Path
    sync: Callable[[], None]
    in_bucket: bool


@contextlib.contextmanager
def open_workdir(address: str | pathlib.Path) -> Iterator[Workdir]:
    """Open the folder of a run at a path or in a bucket, and hold it until the block ends.

    A run in a bucket works in a folder of this machine, which is copied to the bucket at every sync() and at the end.
    Of several processes the first holds the folder; each other one has a temporary folder with the logs of the run.
    """
    with contextlib.ExitStack() as stack:
        opened = []
        in_bucket = "://" in str(address)

        def open_and_read_logs() -> dict[str, str]:
            # The bucket comes first: its lease and its files decide what the folder holds.
            folder, request_upload = stack.enter_context(sync.synced_workdir(address))
            stack.enter_context(locked_folder(folder))
            opened.append(Workdir(folder, request_upload, in_bucket))
            return {name: (folder / name).read_text(encoding="utf-8") for name in _LOGS if (folder / name).exists()}

        # All processes must decide alike how the run goes on, so all read the logs of the first.
        logs = multihost.run_on_primary(open_and_read_logs)
        if not opened:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, text in logs.items():
                (folder / name).write_text(text, encoding="utf-8")
            opened.append(Workdir(folder, lambda: None, in_bucket))
        yield opened[0]


@contextlib.contextmanager
def locked_folder(folder: pathlib.Path) -> Iterator[None]:
    """Make the folder if it is missing, check that it is a run's or empty, and lock it until the block ends."""
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:  # the checkpoints' writer takes text alone
        raise UserError(f"--workdir={folder} has a name that is no text in UTF-8: choose another") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The lock ends with the process: a run that was killed leaves nothing to clear away.
        lock = locks.try_lock(folder / ".lock")
    except OSError as error:
        raise UserError(_describe(folder, error)) from None
    if lock is None:
        raise UserError(f"another process is training in {folder}: stop it, or choose another --workdir")
    with lock:
        foreign = [path.name for path in folder.iterdir() if path.name not in _OF_A_START]
        if foreign and not (folder / "config.json").exists():
            raise UserError(f"--workdir={folder} holds {foreign[0]} but no run (no config.json): choose another")
        try:
            # Tried at once: where only appending fails, a run would compile and then end at its first log line.
            files.check_appends(folder)
        except OSError as error:
            raise UserError(_describe(folder, error)) from None
        yield


def _describe(folder: pathlib.Path, error: OSError) -> str:
    """Return one line about a run's folder that cannot be written as runs need it."""
    if error.errno in _NOT_SUPPORTED:
        return (
            f"--workdir={folder} is on a file system that cannot append to files or replace them ({error.strerror}), "
            f"such as a mounted bucket: give the bucket itself, --workdir=s3://... or gs://..., or mount it with a "
            f"write cache (MOUNT_CACHED in SkyPilot)"
        )
    return f"--workdir={folder} cannot be written ({error.strerror}): choose another"


def step_without_checkpoint(folder: pathlib.Path, checkpoint_every: int) -> int:
    """Return the last step in the log of a run whose checkpoints are gone; 0 where some are there, or none was due.

    A run that was killed before its first checkpoint has an empty folder for them, and a short log.
    """
    checkpoints = folder / "checkpoints"
    if checkpoints.is_dir() and any(path.name.isdigit() for path in checkpoints.iterdir()):
        return 0
    lines = run_writer.read_lines(folder / "metrics.jsonl")
    rolled_back = run_writer.read_lines(folder / run_writer.ROLLED_BACK)
    if all(line in rolled_back for line in lines):  # it was killed while it went back to step 0
        return 0
    last = lines[-1]["step"] if lines else 0
    # The second checkpoint is begun when the first is on disk.
    due = 0 < 2 * checkpoint_every < last
    return last if due or not checkpoints.is_dir() or _has_ended(folder) else 0


def _has_ended(folder: pathlib.Path) -> bool:
    """Return whether a run has written its summary, after its last checkpoint, and has not gone back since."""
    events = run_writer.read_lines(folder / "events.jsonl")
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        roll_backs = [event for event in events if event["action"] == "roll back"]
        # A run that diverged may have gone back to step 0, which leaves no checkpoint.
        return summary["status"] != "diverged" and all(event in summary["events"] for event in roll_backs)
    except (OSError, ValueError, KeyError, TypeError):
        return False
