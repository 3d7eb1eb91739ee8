"""The request to stop a run: SIGTERM, Ctrl-C, or somebody who asks."""

import os
import signal

import jax
from jax.experimental import multihost_utils


class StopRequest:
    """Notes SIGTERM and Ctrl-C; a second Ctrl-C interrupts at once. Use as a context manager.

    `reason` says who asked, or is None. Where several processes train together, a SIGTERM to any of them stops all of
    them at one and the same step, by the preemption service of JAX, which listens for it.
    """

    def __init__(self):
        self.reason = None
        self._before, self._several = {}, jax.process_count() > 1

    def requested(self, step):
        """Whether to stop at a step; every process asks at every step that it comes by."""
        if self._several and not self.reason and multihost_utils.reached_preemption_sync_point(step):
            self.reason = signal.SIGTERM.name
        return self.reason is not None

    def request(self, reason):
        """Stop at the next step; every process has to ask."""
        self.reason = self.reason or reason

    def __enter__(self):
        for number in (signal.SIGINT,) if self._several else (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, _frame):
        if self._several:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self.reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.reason = signal.Signals(number).name
