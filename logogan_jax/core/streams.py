"""Standard output and errors that outlast whoever reads them: printing never ends a command."""

import errno
import os
import sys
from typing import Any

# What a closed pipe, a closed terminal and a closed descriptor answer.
_CLOSED = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO)


class LastingStream:
    """A text stream whose output is lost from when nobody reads it any more, as after `| head`."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text. Returns its length."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._discard_all(error)
            return len(text)

    def flush(self) -> None:
        """Hand what has been written to the operating system."""
        try:
            self._stream.flush()
        except OSError as error:
            self._discard_all(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _discard_all(self, error: OSError) -> None:
        if error.errno not in _CLOSED:
            raise error
        # Python flushes the stream once more when it ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def outlast_readers() -> None:
    """Let stdout and stderr be LastingStreams, and show what their encoding lacks as an escape, such as \\xe9."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the command was started with it closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
        elif hasattr(stream, "reconfigure") and not isinstance(stream, LastingStream):  # a notebook's has none
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, LastingStream(stream))
