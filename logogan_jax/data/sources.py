"""The sources of batches, by name; each has `at(step, count)`, `batch(feed, i)` and `close()`.

All sources give the same batch for the same step, bit for bit, except in pixels that no player needs.
"""

import jax

from logogan_jax.data.in_memory import InMemorySource
from logogan_jax.data.streaming import StreamingSource

Source = InMemorySource | StreamingSource
SOURCES: dict[str, type[InMemorySource] | type[StreamingSource]] = {
    "resident": InMemorySource,
    "stream": StreamingSource,
}
_DEFAULT_MEMORY = 8 << 30  # bytes, for a CPU device, which states no limit


def choose(nbytes: int, device: jax.Device) -> str:  # pyright: ignore[reportInvalidTypeForm] - jaxlib has no stub of it
    """Name of the source for `nbytes` of pixels: "resident" if they take at most a quarter of the device's memory."""
    stats = device.memory_stats() or {}
    return "resident" if nbytes <= stats.get("bytes_limit", _DEFAULT_MEMORY) // 4 else "stream"
