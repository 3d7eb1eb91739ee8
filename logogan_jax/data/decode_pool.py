"""Processes that decode images in parallel, since one Python process decodes one image at a time.

They are started as commands that import neither JAX nor the program that wants the images. Forking is no choice,
because JAX's threads forbid it, nor is multiprocessing's spawn, which would import the main module again.
"""

import collections
import contextlib
import itertools
import os
import pickle
import subprocess
import sys
import tempfile
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from logogan_jax.core.errors import UserError
from logogan_jax.core.machine import available_cores
from logogan_jax.data.shared_buffer import SharedBuffer

MIN_IMAGES_FOR_POOL = 10_000  # starting processes takes longer than decoding fewer
IMAGES_PER_SHARE = 64  # that each process decodes at a time, when many images are wanted
_SHARES_AHEAD = 3  # shares that a process has waiting, so that it is never idle


class Images(Protocol):
    """A data set whose images can be decoded by position; `shape` is (H, W, C)."""

    shape: tuple[int, int, int]

    def __len__(self) -> int: ...

    def images(self, positions: np.ndarray, needs_pixels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(pixels uint8[n, H, W, C], labels int32[n]) at positions int[n]."""
        ...


class Decoder(Protocol):
    """Decodes images that are asked for before they are needed."""

    def submit(self, positions: np.ndarray, needs_pixels: np.ndarray | None = None) -> Any:
        """A future, to hand to `result`, of the images at positions int[n]; bool[n] says which need pixels."""

    def result(self, future: Any) -> tuple[np.ndarray, np.ndarray]:
        """(pixels uint8[n, H, W, C], labels int32[n]), as Images.images."""
        ...

    def close(self) -> None:
        """Stop whatever decodes."""


def make_decoder(dataset: Images) -> Decoder:
    """A decoder that works beside the training: processes on all cores but one, or this process on one core."""
    cores = available_cores()
    return DecoderPool(dataset, cores - 1) if cores > 1 else InlineDecoder(dataset)


def decode_images(dataset: Images, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As dataset.images(positions), on all cores if there are at least MIN_IMAGES_FOR_POOL positions."""
    cores = available_cores()
    if len(positions) < MIN_IMAGES_FOR_POOL or cores == 1:
        return dataset.images(positions)
    with contextlib.closing(DecoderPool(dataset, cores)) as decoder:
        return decoder.images(positions)


class InlineDecoder:
    """Decodes in this process, when the result is asked for."""

    def __init__(self, dataset: Images):
        self._dataset = dataset

    def submit(self, positions: np.ndarray, needs_pixels: np.ndarray | None = None) -> tuple:
        """As Decoder.submit."""
        return positions, needs_pixels

    def result(self, future: tuple) -> tuple[np.ndarray, np.ndarray]:
        """As Decoder.result."""
        return self._dataset.images(*future)

    def close(self) -> None:
        """Do nothing: there is no process to stop."""


class _Worker(NamedTuple):
    process: subprocess.Popen
    requests: IO[bytes]
    replies: IO[bytes]


class _Future(NamedTuple):
    buffer: SharedBuffer
    workers: list[_Worker]  # those that decode a share of the images


class DecoderPool:
    """Decodes in `count` processes, which divide the images of every future among them.

    Futures must be asked for their results in the order in which they were submitted.
    """

    def __init__(self, dataset: Images, count: int):
        self._shape = dataset.shape
        self._memory = _shared_memory()
        self._memory.write(pickle.dumps(dataset))
        self._memory.flush()
        dataset_bytes = self._memory.tell()
        self._size = dataset_bytes
        self._free: list[SharedBuffer] = []
        self._workers = [_start_worker(self._memory.fileno(), dataset_bytes) for _ in range(count)]

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid for worker in self._workers]

    @property
    def nbytes(self) -> int:
        """Bytes of shared memory, which hold the pickled data set and all buffers."""
        return self._size

    def submit(self, positions: np.ndarray, needs_pixels: np.ndarray | None = None) -> _Future:
        """As Decoder.submit; the processes start to decode at once."""
        count = len(positions)
        buffer = self._acquire_buffer(count)
        buffer.write("position", positions)
        buffer.write("needs_pixels", np.ones(count) if needs_pixels is None else needs_pixels)
        bounds = np.linspace(0, count, len(self._workers) + 1).round().astype(int).tolist()
        busy = []
        for worker, (start, stop) in zip(self._workers, itertools.pairwise(bounds), strict=True):
            if start < stop:
                busy.append(worker)
                with contextlib.suppress(BrokenPipeError):  # `result` reports a process that has ended
                    pickle.dump((buffer, start, stop), worker.requests)
                    worker.requests.flush()
        return _Future(buffer, busy)

    def result(self, future: _Future) -> tuple[np.ndarray, np.ndarray]:
        """As Decoder.result; raises the first worker's error, or UserError if a worker has ended."""
        # All replies are read before an error is raised, so that they are not taken for those of the next future.
        errors = [error for error in map(_receive, future.workers) if error is not None]
        if errors:
            raise errors[0]
        pixels = future.buffer.read("pixels")
        labels = future.buffer.read("label")
        self._free.append(future.buffer)
        return pixels, labels

    def images(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As Images.images, of images that may be too many to be in memory twice."""
        pixels = np.empty((len(positions), *self._shape), np.uint8)
        labels = np.empty(len(positions), np.int32)
        share = IMAGES_PER_SHARE * len(self._workers)
        pending: collections.deque[tuple[int, _Future]] = collections.deque()

        def collect() -> None:
            start, future = pending.popleft()
            pixels[start : start + share], labels[start : start + share] = self.result(future)

        for start in range(0, len(positions), share):
            pending.append((start, self.submit(positions[start : start + share])))
            if len(pending) > _SHARES_AHEAD:
                collect()
        while pending:
            collect()
        return pixels, labels

    def close(self) -> None:
        """Kill the processes, which hold nothing that could be lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()
            with contextlib.suppress(BrokenPipeError):
                worker.requests.close()
            worker.replies.close()
        self._memory.close()

    def _acquire_buffer(self, count: int) -> SharedBuffer:
        """A buffer for `count` images that no future uses: an old one if possible, so that memory does not grow."""
        for buffer in self._free:
            if buffer.count == count:
                self._free.remove(buffer)
                return buffer
        buffer = SharedBuffer(self._memory.fileno(), self._size, count, self._shape)
        self._size += buffer.nbytes
        return buffer


def _shared_memory() -> IO[bytes]:
    """A file in memory where the system has such files, which is gone once no process holds it."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("logogan_jax"), "w+b")
    return tempfile.TemporaryFile()


def _start_worker(file: int, length: int) -> _Worker:
    process = subprocess.Popen(
        [sys.executable, "-m", "logogan_jax.data.decode_worker", str(file), str(length)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[file],
        process_group=0,  # the terminal's Ctrl-C must not reach it: this process decides when to stop
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdin and process.stdout
    return _Worker(process, process.stdin, process.stdout)


def _receive(worker: _Worker) -> Exception | None:
    """A worker's reply to one request: None or an exception."""
    try:
        return pickle.load(worker.replies)
    except EOFError:
        return UserError(
            f"a process that decodes images has ended (status {worker.process.wait()}): if memory is scarce, "
            f"free some, then run the same command again"
        )
