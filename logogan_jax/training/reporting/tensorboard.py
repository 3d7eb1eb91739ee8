"""What TensorBoard shows of a run."""

import socket
import threading
import time

from tensorboardX import summary
from tensorboardX.proto import event_pb2

from logogan_jax.data import tfrecord


class TensorBoardWriter:
    """A new events file in a folder; what older ones hold of a step and later TensorBoard no longer shows.

    tensorboardX makes the events. They are written here and now: its own writer hands them to a thread, and whoever
    calls it waits for ever once a full disk has ended that thread.
    """

    def __init__(self, folder, step):
        folder.mkdir(exist_ok=True)
        # TensorBoard reads a folder's files in the order of their names.
        self._file = tfrecord.Writer(folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}")
        self._lock = threading.Lock()
        self._write(file_version="brain.Event:2")
        self._write(step=step, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

    def write_scalars(self, step, values):
        """Add numbers by name."""
        self._add(step, [summary.scalar(name, value) for name, value in values.items()])

    def write_image(self, step, name, pixels):
        """Add a picture, uint8[H, W, C]."""
        self._add(step, [summary.image(name, pixels, dataformats="HWC")])

    def close(self):
        """Close the file."""
        self._file.close()

    def _add(self, step, parts):
        self._write(step=step, summary=summary.Summary(value=[value for part in parts for value in part.value]))

    def _write(self, **values):
        event = event_pb2.Event(wall_time=time.time(), **values).SerializeToString()
        with self._lock:  # a thread draws pictures
            self._file.write(event)
            self._file.flush()
