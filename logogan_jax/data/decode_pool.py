"""Processes that decode images side by side, since one of Python decodes one at a time.

They are started as commands of their own, which import neither JAX nor the program that wants the images, and
are neither forked, which JAX's threads forbid, nor told to import its main module again, as multiprocessing does.
"""

import collections
import contextlib
import itertools
import os
import pickle
import subprocess
import sys
import tempfile

import numpy as np

from logogan_jax.core.errors import UserError
from logogan_jax.data.shared_buffer import SharedBuffer

MIN_IMAGES_FOR_POOL = 10_000  # images that are worth starting processes for
_CHUNK = 64  # images of each process's share of those
_AHEAD = 3  # shares that a process has in hand


def available_cores():
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def make_decoder(part):
    """What decodes images of a Part beside the training: processes on all cores but one, or this one on one core."""
    return DecoderPool(part, available_cores() - 1) if available_cores() > 1 else InlineDecoder(part)


def decode_images(part, positions):
    """As part.images(positions), on all cores where the images are many."""
    if len(positions) < MIN_IMAGES_FOR_POOL or available_cores() == 1:
        return part.images(positions)
    with contextlib.closing(DecoderPool(part, available_cores())) as workers:
        return workers.images(positions)


class InlineDecoder:
    """Decodes in this process, when asked for the result."""

    def __init__(self, part):
        self._part = part

    def submit(self, positions, needs_pixels):
        """A future for images at positions int[n], of which bool[n] are looked at."""
        return positions, needs_pixels

    def result(self, future):
        """(uint8[n, H, W, C], int32[n]), as part.images."""
        return self._part.images(*future)

    def close(self):
        """Nothing to stop."""


class DecoderPool:
    """Decodes in `count` processes, each its share of every future; futures end in the order in which they began."""

    def __init__(self, part, count):
        self._shape, about = part.shape, pickle.dumps(part)
        self._memory = _memory()
        self._memory.write(about)
        self._memory.flush()
        self._size, self._free = len(about), []
        self._workers = [_start(self._memory.fileno(), len(about)) for _ in range(count)]

    def submit(self, positions, needs_pixels=None):
        """As InlineDecoder.submit; the processes start at once."""
        count = len(positions)
        region = self._region(count)
        region.write("position", positions)
        region.write("needs_pixels", np.ones(count) if needs_pixels is None else needs_pixels)
        cuts = np.linspace(0, count, len(self._workers) + 1).round().astype(int).tolist()
        asked = []
        for worker, (start, stop) in zip(self._workers, itertools.pairwise(cuts), strict=True):
            if start < stop:
                asked.append(worker)
                with contextlib.suppress(BrokenPipeError):  # its end is noticed when it should answer
                    pickle.dump((region, start, stop), worker.stdin)
                    worker.stdin.flush()
        return region, asked

    def result(self, future):
        """As InlineDecoder.result."""
        region, asked = future
        errors = [error for error in map(_answer, asked) if error is not None]
        if errors:
            raise errors[0]
        found = region.read("pixels"), region.read("label")
        self._free.append(region)
        return found

    def images(self, positions):
        """As part.images, of so many that they would not fit into memory twice."""
        pixels, labels = np.empty((len(positions), *self._shape), np.uint8), np.empty(len(positions), np.int32)
        share, waiting = _CHUNK * len(self._workers), collections.deque()
        starts = range(0, len(positions), share)
        for start in [*starts, *[None] * _AHEAD]:
            if start is not None:
                waiting.append((start, self.submit(positions[start : start + share])))
            if waiting and (start is None or len(waiting) > _AHEAD):
                first, future = waiting.popleft()
                pixels[first : first + share], labels[first : first + share] = self.result(future)
        return pixels, labels

    def close(self):
        """End the processes, which hold nothing that could be lost."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.wait()
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()
            worker.stdout.close()
        self._memory.close()

    def _region(self, count):
        """A SharedBuffer that nobody uses, kept for others of its size."""
        for region in self._free:
            if region.count == count:
                self._free.remove(region)
                return region
        region = SharedBuffer(self._memory.fileno(), self._size, count, self._shape)
        self._size += region.nbytes
        return region


def _memory():
    """A file that is in memory where the system has such files, and gone once nobody holds it."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("logogan_jax"), "w+b")
    return tempfile.TemporaryFile()


def _start(file, length):
    return subprocess.Popen(
        [sys.executable, "-m", "logogan_jax.data.decode_worker", str(file), str(length)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[file],
        process_group=0,  # out of reach of the terminal's Ctrl-C
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


def _answer(worker):
    """What a process says of its share: None or an exception."""
    try:
        return pickle.load(worker.stdout)
    except EOFError:
        return UserError(
            f"a process that decodes images was ended (status {worker.wait()}): if memory is scarce, "
            f"free some, then run the same command again"
        )
