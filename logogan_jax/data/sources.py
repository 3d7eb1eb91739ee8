"""Where images come from: SOURCES by name, each with `at(step, count)` and `batch(feed, i)`.

Both sources give the same batch for the same step, bit for bit, but for pixels that nobody looks at.
"""

from logogan_jax.data.in_memory import InMemorySource
from logogan_jax.data.streaming import StreamingSource

SOURCES = {"resident": InMemorySource, "stream": StreamingSource}


def choose(nbytes, device):
    """The source for this many bytes of pixels: resident where they take at most a quarter of the device."""
    stats = device.memory_stats() or {}
    budget = stats.get("bytes_limit", 8 << 30) // 4  # a CPU device tells no limit: 2 GiB of pixels
    return "resident" if nbytes <= budget else "stream"
