"""Functions that tests hand to the pool, in a file that its processes import quickly."""

import os
import resource
import signal
import threading

from data_prep import pool


def behave(word):
    """Do what the word says."""
    if word == "hang":
        threading.Event().wait()
    if word == "crash":
        os.kill(os.getpid(), 11)
    if word == "swallow":
        bytearray(2 * pool.MEMORY)
    if word == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "threads":
        import numpy  # noqa: F401 - starts its threads

        return len(os.listdir("/proc/self/task"))
    if word == "limit":
        return resource.getrlimit(resource.RLIMIT_AS)[0]
    if word == "size":
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    return word.upper()
