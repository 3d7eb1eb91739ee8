"""A new folder that appears under its name only when it is complete, and that one process writes at a time."""

import contextlib
import fnmatch
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

from logogan_jax.core import errors, files, locks
from logogan_jax.core.errors import UserError

# What systems put into folders that their users call empty.
_OF_THE_SYSTEM = {".DS_Store", "desktop.ini", "Desktop.ini", "Thumbs.db", "lost+found"}
_INNER = ".partial"  # the hidden folder, where the target exists
_LOCK = ".lock"
_MOVING = ".moving.json"  # the names that are being moved out of the inner folder
_ATTEMPTS = 100  # to lock a folder that other processes rename meanwhile
_LONGEST_NAME = 255  # bytes, on most file systems


@contextlib.contextmanager
def create(target: pathlib.Path, flag: str = "target_path", working: Sequence[str] = ()) -> Iterator[pathlib.Path]:
    """Yield a hidden folder that becomes `target` when the block ends without an error.

    It lies beside `target` and is renamed. If `target` exists and is empty, such as a mount point or the working
    folder, the hidden folder lies in it, and its content is moved up. Both are tried before the block begins. The
    patterns in `working` are the names of what only an unfinished folder needs.

    After an interruption the hidden folder stays, and the next call yields it again. After a UserError it is removed,
    unless that keeps the work. A second process waits for the first.

    Raises:
        UserError: if `target` is not empty, or cannot be written. It names the `flag`.
    """
    target = _resolve(target)
    with _locked(target, flag) as partial:
        _undo_moves(partial, target)
        try:
            check(target, flag)
            yield partial
        except UserError as error:
            if not (error.keeps_work or errors.interruption(error)):
                shutil.rmtree(partial)
            raise
        _publish(partial, target, [_LOCK, _MOVING, *working])


def check(target: pathlib.Path, flag: str = "target_path") -> None:
    """Try what `create` does at its end; UserError if `target` is not an empty folder or this place does not work."""
    target = _resolve(target)
    refuse_full(target, flag)
    trial = (target if target.is_dir() else target.parent) / f".{os.getpid()}.trial"
    renamed = target / f"{trial.name}ed" if target.is_dir() else target
    try:
        trial.mkdir(parents=True)
        try:
            os.replace(trial, renamed)
        except OSError:
            trial.rmdir()
            raise
        renamed.rmdir()
    except OSError as error:
        raise _not_writable(target, flag, error.strerror) from None


def _resolve(target: pathlib.Path) -> pathlib.Path:
    """The folder behind links; of "." its own name."""
    return pathlib.Path(os.path.realpath(files.expand(target)))


def _not_writable(target: pathlib.Path, flag: str, reason: str | None) -> UserError:
    return UserError(f"--{flag}={target} cannot be written ({reason}): choose another place")


def _hidden(target: pathlib.Path) -> pathlib.Path:
    """The path of the hidden folder."""
    if target.is_dir():
        return target / _INNER
    name = f".{target.name}.partial"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}.partial"
    return target.with_name(name)


def refuse_full(target: pathlib.Path, flag: str) -> None:
    """UserError if `target` is a file, or a folder with something else in it than `create` puts there."""
    try:
        names = {path.name for path in target.iterdir()} if target.is_dir() else set()
    except OSError as error:
        raise _not_writable(target, flag, error.strerror) from None
    is_file = target.exists() and not target.is_dir()
    if is_file or names - {_INNER} - _OF_THE_SYSTEM - set(_names_being_moved(target / _INNER)):
        raise UserError(f"--{flag}={target} is not an empty folder: remove it or choose another")


def _names_being_moved(partial: pathlib.Path) -> list[str]:
    try:
        return json.loads((partial / _MOVING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _publish(partial: pathlib.Path, target: pathlib.Path, working: Sequence[str]) -> None:
    """Give the finished folder its name, and remove what has a name in `working`."""
    is_working = lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in working)
    names = sorted(path.name for path in partial.iterdir() if not is_working(path.name))
    if partial.parent == target:
        names.sort(key="metadata.json".__eq__)  # last: it says that the shards are complete
        files.write_json(partial / _MOVING, names)
        for name in names:
            os.replace(partial / name, target / name)
        shutil.rmtree(partial)
        return
    # Only then is what a second attempt would need removed.
    os.replace(partial, target)
    for path in [path for path in target.iterdir() if path.name not in names]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _undo_moves(partial: pathlib.Path, target: pathlib.Path) -> None:
    """Put back what an earlier call had moved when it was stopped."""
    for name in _names_being_moved(partial):
        if (target / name).exists() and not (partial / name).exists():
            os.replace(target / name, partial / name)
    (partial / _MOVING).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(target: pathlib.Path, flag: str) -> Iterator[pathlib.Path]:
    """Yield the hidden folder of `target`, made if necessary, and hold its lock until the block ends."""
    reason = "other processes keep renaming it"
    for _ in range(_ATTEMPTS):
        refuse_full(target, flag)
        partial = _hidden(target)
        lock = partial / _LOCK
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                partial.mkdir()
            file = locks.wait_for_lock(lock, message=f"Another process is writing {partial}; waiting for it.")
        except FileNotFoundError as error:
            reason = error.strerror
            continue  # another process is just renaming the folder, or the place does not exist
        except OSError as error:
            reason = error.strerror
            break
        with file:
            if lock.exists() and os.path.samestat(os.stat(lock), os.fstat(file.fileno())):
                yield partial
                return
            # The other process has renamed the folder together with this lock file: try again with a new one.
    raise _not_writable(target, flag, reason)
