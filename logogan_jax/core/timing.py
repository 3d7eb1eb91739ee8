"""When periodic work is due, and how fast the run goes."""

import time


def is_due(period: int, step: int, last: int) -> bool:
    """Return whether a step is a multiple of `period`, or the last one; a period of 0 means the last one alone."""
    return step == last or (period > 0 and step % period == 0)


class Throughput:
    """Measures images per second since the last reading, and the time to the end.

    The first dispatches, slow while caches fill, count only until the first reading.
    """

    def __init__(self, step: int):
        self._step = step
        self._time = time.perf_counter()

    def exclude(self, seconds: float) -> None:
        """Leave out of the pace a time that was not spent on steps."""
        self._time += seconds

    def read(self, step: int, images_per_step: int, last: int) -> tuple[float, float]:
        """Return (images per second since the last reading, seconds to step `last` at that pace)."""
        now = time.perf_counter()
        pace = (step - self._step) / max(now - self._time, 1e-9)
        self._step = step
        self._time = now
        return pace * images_per_step, (last - step) / pace if pace else float("inf")


class Timer:
    """Expires some minutes after it was made or reset; with 0 minutes, never."""

    def __init__(self, minutes: float):
        self._seconds = minutes * 60
        self.reset()

    def reset(self) -> None:
        """Start again."""
        self._time = time.perf_counter()

    def expired(self) -> bool:
        """Return whether the minutes have passed."""
        return self._seconds > 0 and time.perf_counter() - self._time >= self._seconds


def format_duration(seconds: float) -> str:
    """Return a duration in words: 95 -> '1 min 35 s', 200000 -> '2.3 days'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"
