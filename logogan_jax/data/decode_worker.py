"""A process that decodes images for the DecoderPool that starts it, and ends with it."""

import contextlib
import os
import pickle
import signal
import sys
from typing import IO


def work(file: int, length: int, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer requests (SharedBuffer, start, stop) with None or an exception, until EOFError ends them.

    The first `length` bytes of `file` are the pickled data set whose images are decoded.
    """
    dataset = pickle.loads(os.pread(file, length, 0))
    while True:
        buffer, start, stop = pickle.load(requests)
        error = None
        try:
            positions = buffer.read("position", start, stop)
            pixels, labels = dataset.images(positions, buffer.read("needs_pixels", start, stop))
            buffer.write("pixels", pixels, start)
            buffer.write("label", labels, start)
        except Exception as raised:  # the process that waits for the reply raises it
            error = raised
        pickle.dump(error, replies)
        replies.flush()


if __name__ == "__main__":
    # The process that reads the replies decides when to stop: when it ends, both pipes close.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        work(int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # a normal exit would flush stdout, which nobody reads any more
