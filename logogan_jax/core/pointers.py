"""What repositories keep in place of large files that have not been fetched: pointers of Git LFS and git-annex."""

import os

from logogan_jax.core.errors import UserError

_LFS = ("a Git LFS pointer", "run `git lfs pull` in its repository")
_ANNEX = ("a git-annex pointer", "run `git annex get` in its repository")
# By the first bytes of the file: its name, and what fetches the file that it stands for.
KINDS = {b"version https://git-lfs": _LFS, b"version https://hawser": _LFS, b"/annex/objects/": _ANNEX}
_START_BYTES = max(map(len, KINDS))
_ANNEX_FOLDER = os.path.join(".git", "annex", "objects", "")  # where the links lead that git-annex makes


def describe(data: bytes) -> str:
    """Return what some bytes are and what fetches the file that they stand for, or "" where they are no pointer."""
    found = next((words for magic, words in KINDS.items() if data.startswith(magic)), None)
    return ": ".join(found) if found else ""


def describe_file(path: str | os.PathLike) -> str:
    """Return the same of the file at a path, which may also be a link of git-annex to nowhere."""
    try:
        with open(path, "rb") as file:
            return describe(file.read(_START_BYTES))
    except OSError:
        is_annexed = os.path.islink(path) and not os.path.exists(path) and _ANNEX_FOLDER in os.readlink(path)
        return ": ".join(_ANNEX) if is_annexed else ""


def refuse(path: str | os.PathLike, flag: str = "") -> None:
    """Raise a UserError, which names the path and what it is the value of, where the file is a pointer."""
    if pointer := describe_file(path):
        name = f"--{flag}={path}" if flag else path
        raise UserError(f"{name} is {pointer}")
