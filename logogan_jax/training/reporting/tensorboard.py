"""Event files for TensorBoard."""

import pathlib
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


class TensorBoardWriter:
    """Writer of a new event file in a folder. TensorBoard then hides what older files hold from `step` on.

    tensorboardX only makes the events. Its own writer hands them to a thread, and every caller waits for ever once
    that thread has ended because of a full disk. Here they are written at once, by the caller.
    """

    def __init__(self, folder: pathlib.Path, step: int) -> None:
        folder.mkdir(exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names, so the time comes first.
        self._file = tfrecord.Writer(folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}")
        self._lock = threading.Lock()
        self._write(file_version="brain.Event:2")
        # This event makes TensorBoard drop later steps: a run that went back repeats them.
        self._write(step=step, session_log=SessionLog(status=SessionLog.START))

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
        self._write(step=step, summary=summary.Summary(value=[value for part in parts for value in part.value]))

    def _write(self, **fields: Any) -> None:
        event = Event(wall_time=time.time(), **fields).SerializeToString()
        with self._lock:  # scalars and images come from two threads
            self._file.write(event)
            self._file.flush()
