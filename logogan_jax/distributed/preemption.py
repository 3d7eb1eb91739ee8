"""The request to stop a run: SIGTERM, SIGHUP, Ctrl-C, or a call from the program."""

import os
import signal
from types import FrameType
from typing import Self

import jax
from jax.experimental import multihost_utils

from logogan_jax.core.errors import StoppedAtOnce


class StopRequest:
    """A context manager that records SIGTERM, Ctrl-C and a closed terminal; a second Ctrl-C interrupts at once.

    `reason` is the name of the signal or the text given to `request`, and None before. Where several processes train
    together, a SIGTERM to any of them stops all of them at the same step.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous_handlers = {}
        self._multiprocess = jax.process_count() > 1

    def requested(self, step: int) -> bool:
        """Return whether to stop at a step. Every process must call this at every step."""
        # A process that stopped by itself would leave the others waiting in their next collective operation. JAX's
        # preemption service agrees on one step for all of them.
        if self._multiprocess and not self.reason and multihost_utils.reached_preemption_sync_point(step):
            self.reason = signal.SIGTERM.name
        return self.reason is not None

    def request(self, reason: str) -> None:
        """Ask to stop at the next step. Every process must call this at the same step."""
        self.reason = self.reason or reason

    def __enter__(self) -> Self:
        # With several processes JAX's preemption service handles SIGTERM itself: a handler here would hide it.
        signals = [signal.SIGINT] if self._multiprocess else [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            signals.append(signal.SIGHUP)
        for number in signals:
            self._previous_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._multiprocess:
            # Ctrl-C and SIGHUP become a SIGTERM, which the preemption service passes on to the other processes.
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self.reason and number == signal.SIGINT:
            raise StoppedAtOnce
        self.reason = signal.Signals(number).name
