"""Places that a command is to write to, tried before its work begins."""

import contextlib
import os
import pathlib

from logogan_jax.core import files
from logogan_jax.core.errors import UserError


def file_to_write(flag: str, value: str | os.PathLike) -> pathlib.Path:
    """Return the path of a file that a flag names, expanded; UserError if no file can be written there."""
    path = files.expand(value)
    try:
        if path.is_dir() or not path.name:
            raise UserError(f"--{flag}={value} is a folder: give the name of a file")
        if not path.parent.is_dir():
            raise UserError(f"--{flag}={value}: there is no folder {path.parent}")
        if path.exists() and not path.is_file():
            raise UserError(f"--{flag}={value} is no ordinary file: choose another name")
        files.try_to_write(path.parent)
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # a name may be too long
    except OSError as error:
        raise UserError(f"--{flag}={value} cannot be written ({error.strerror}): choose another place") from None
    return path


def folder_to_write(flag: str, value: str | os.PathLike) -> pathlib.Path:
    """Return the path of a folder that a flag names, expanded; UserError if it cannot be made or written."""
    path = files.expand(value)
    try:
        there = path.absolute()
        while not os.path.lexists(there) and there != there.parent:
            there = there.parent
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # a name may be too long
        if not there.is_dir():
            raise UserError(f"--{flag}={value} cannot be written ({there} is no folder): choose another place")
        files.try_to_write(there)
    except OSError as error:
        raise UserError(f"--{flag}={value} cannot be written ({error.strerror}): choose another place") from None
    return path
