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


def choose(nbytes: int, memory: int) -> str:
    """Name the source for `nbytes` of pixels: "resident" if they take at most a quarter of `memory`, in bytes."""
    return "resident" if nbytes <= memory // 4 else "stream"


def memory_bytes(device: jax.Device) -> int:  # pyright: ignore[reportInvalidTypeForm] - jaxlib has no stub of it
    """Return the bytes of memory that JAX has on a device."""
    return (device.memory_stats() or {}).get("bytes_limit", _DEFAULT_MEMORY)
