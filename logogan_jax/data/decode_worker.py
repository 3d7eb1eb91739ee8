"""A process that decodes images for another one, as decode_pool.DecoderPool starts it, and that ends with it."""

import contextlib
import os
import pickle
import signal
import sys


def work(file, length, jobs, answers):
    """Do jobs, (SharedBuffer, start, stop), until there are no more; an answer is None or the exception.

    The first `length` bytes of `file` are the pickled Part whose images they are.
    """
    part = pickle.loads(os.pread(file, length, 0))
    while True:
        region, start, stop = pickle.load(jobs)
        try:
            pixels, labels = part.images(region.read("position", start, stop), region.read("needs_pixels", start, stop))
            region.write("pixels", pixels, start)
            region.write("label", labels, start)
            answer = None
        except Exception as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    # When to stop is for the process that reads the answers to say; its end closes both pipes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        work(*map(int, sys.argv[1:]), sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # without flushing what nobody reads
