"""Event files for TensorBoard."""

import pathlib
import re
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorboardX import summary

# protobuf makes these classes when the module is imported, which pyright cannot see.
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]

from logogan_jax.data import tfrecord

_PREFIX = "events.out.tfevents."
_TICK = 0.02  # seconds by which a file system's clock may be behind that of the machine


class TensorBoardWriter:
    """Writer of a new event file in a folder. TensorBoard then hides what older files hold from `step` on.

    tensorboardX only makes the events. Its own writer hands them to a thread, and every caller waits for ever once
    that thread has ended because of a full disk. Here they are written at once, by the caller.
    """

    def __init__(self, folder: pathlib.Path, step: int) -> None:
        self._folder = folder
        self._step = step
        self._lock = threading.Lock()
        self._time = _newest_time(folder)
        self._open()

    def write_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add numbers by name."""
        self._write_summary(step, [summary.scalar(name, value) for name, value in values.items()])

    def write_image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Add an image, uint8[H, W, C]."""
        self._write_summary(step, [summary.image(name, pixels, dataformats="HWC")])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_summary(self, step: int, parts: list[summary.Summary]) -> None:
        joined = summary.Summary(value=[value for part in parts for value in part.value])
        with self._lock:  # scalars and images come from two threads
            if not self._path.exists():  # somebody has removed it
                self._file.close()
                self._open()
            self._write(step=step, summary=joined)
            self._step = max(self._step, step + 1)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names, so the time comes first.
        self._path = self._folder / f"{_PREFIX}{self._now():.6f}.{socket.gethostname()}"
        self._file = tfrecord.Writer(self._path)
        # An event file begins with the version of its format.
        self._write(file_version="brain.Event:2")
        # This event makes TensorBoard drop later steps: a run that went back repeats them.
        self._write(step=self._step, session_log=SessionLog(status=SessionLog.START))

    def _write(self, **fields: Any) -> None:
        self._file.write(Event(wall_time=self._now(), **fields).SerializeToString())
        # TensorBoard reads the file while the run goes on.
        self._file.flush()

    def _now(self) -> float:
        """Return the time in seconds, later than any that was returned before, though the clock may go back."""
        # Ten microseconds: two files' names, which show microseconds, have to differ.
        self._time = max(time.time(), self._time + 1e-5)
        return self._time


def _newest_time(folder: pathlib.Path) -> float:
    """Return the latest time at which a folder's event files were begun, by their names, or changed; or 0."""
    times = [0.0]
    for path in folder.glob(f"{_PREFIX}*"):
        begun = re.match(r"\d+(\.\d+)?", path.name.removeprefix(_PREFIX))
        times += [float(begun[0]), path.stat().st_mtime + _TICK] if begun else []
    return max(times)
