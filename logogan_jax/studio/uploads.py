"""Images that a person uploads, each set in a folder of its own beside the runs."""

import asyncio
import os
import pathlib
import re
from collections.abc import AsyncIterator

from logogan_jax.core import files
from logogan_jax.core.errors import UserError

MOST_BYTES = 64 << 20  # of a file
MOST_FILES = 50_000  # of a set
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")  # of a set, and of a run


class Uploads:
    """Sets of uploaded images below a folder."""

    def __init__(self, root: pathlib.Path):
        self._root = root

    def folder(self, name: str) -> pathlib.Path:
        """Return the folder of a set; UserError for a name that is none."""
        if not NAME.fullmatch(name):
            raise UserError(f"the name of the upload is {name[:80]!r}: give small letters, digits, - and _")
        return self._root / name

    async def keep(self, name: str, file: str, parts: AsyncIterator[bytes]) -> None:
        """Write one file of a set, whole or not at all; folders in its name are labels.

        UserError for a name that leads out of the set, for more bytes than MOST_BYTES, or more files than MOST_FILES.
        """
        folder = self.folder(name)
        pieces = pathlib.PurePosixPath(file.replace("\\", "/")).parts
        if not pieces or any(piece in ("..", "/", ".") or piece.startswith(".") or "\0" in piece for piece in pieces):
            raise UserError(f"the file is called {file[:80]!r}: it should be a name, with folders before it at most")
        path = folder.joinpath(*pieces)
        body = bytearray()
        async for part in parts:
            body += part
            if len(body) > MOST_BYTES:
                raise UserError(f"{file[:80]} has more than {MOST_BYTES:,} bytes")
        await asyncio.to_thread(self._write, folder, path, bytes(body))

    def _write(self, folder: pathlib.Path, path: pathlib.Path, body: bytes) -> None:
        count = sum(len(names) for _, _, names in os.walk(folder))
        if count >= MOST_FILES:
            raise UserError(f"{folder.name} has {count:,} files already: put the images into a folder, give its path")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic_write(path) as partial:
                partial.write_bytes(body)
        except OSError as error:
            raise UserError(f"{path.name[:80]} cannot be written ({error.strerror})") from None
