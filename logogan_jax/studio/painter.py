"""The studio's side of the process that draws: one request at a time, and a new process where one has died."""

import asyncio
import multiprocessing
import pathlib
from multiprocessing.connection import Connection
from typing import Any

from logogan_jax.core.errors import UserError

_LONGEST = 600.0  # seconds that one request may take: the first one of a run compiles and reads all its images
_WAITING = 32  # requests that may wait


def _serve(connection: Connection) -> None:
    from logogan_jax.studio import painting  # JAX, which only that process needs

    painting.serve(connection)


class Busy(UserError):
    """Too many requests wait already."""


class Painter:
    """Asks a process of its own, which starts with the first request."""

    def __init__(self) -> None:
        self._process: Any = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def ask(self, name: str, workdir: pathlib.Path, step: str, *arguments: Any) -> Any:
        """Return what a function of painting.py returns for a run at a step.

        Raises:
            UserError: if the function refuses, if the process has died, or if it takes too long.
        """
        if self._waiting >= _WAITING:
            raise Busy(f"{self._waiting} requests wait: try again later")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._ask, (name, str(workdir), step, arguments))
        finally:
            self._waiting -= 1

    def _ask(self, request: tuple[Any, ...]) -> Any:
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._connection.send(request)
            if not self._connection.poll(_LONGEST):
                self.close()
                raise UserError(f"drawing took longer than {_LONGEST:.0f} s and was stopped")
            kind, value = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            raise UserError("the process that draws has ended, perhaps for want of memory: try again") from None
        if kind == "refused":
            raise UserError(value)
        return value

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # JAX has threads, which do not survive a fork
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="painter")
        self._process.start()
        theirs.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._process = None
