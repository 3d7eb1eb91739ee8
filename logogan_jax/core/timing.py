"""When to do periodic work, and how fast the run goes."""

import time


def is_due(period, step, last):
    """True on each multiple of `period`, and on the last step; a period of 0 means never."""
    return period > 0 and (step % period == 0 or step == last)


class Throughput:
    """Images per second since the last reading, and the time to the end.

    The first dispatches, slow while caches fill, count only until the first reading.
    """

    def __init__(self, step):
        self._step, self._time = step, time.perf_counter()

    def exclude(self, seconds):
        """Leave out of the pace what was not spent on steps."""
        self._time += seconds

    def read(self, step, images_per_step, last):
        """(images per second since the last reading, seconds to step `last` at that pace)."""
        now = time.perf_counter()
        steps, seconds = step - self._step, max(now - self._time, 1e-9)
        self._step, self._time = step, now
        pace = steps / seconds
        return pace * images_per_step, (last - step) / pace if pace else float("inf")


class Timer:
    """Rings once so many minutes have passed since it was made or wound; 0: never."""

    def __init__(self, minutes):
        self._seconds = minutes * 60
        self.reset()

    def reset(self):
        """Start again."""
        self._time = time.perf_counter()

    def expired(self):
        """Whether the minutes have passed."""
        return self._seconds > 0 and time.perf_counter() - self._time >= self._seconds


def format_duration(seconds):
    """A duration as a person says it: 95 -> '1 min 35 s', 200000 -> '2.3 days'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"
