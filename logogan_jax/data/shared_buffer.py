"""Memory shared among processes: one process writes which images it wants, others write their pixels."""

import dataclasses
import math
import os

import numpy as np

_DTYPES = {"position": np.int64, "needs_pixels": np.bool_, "label": np.int32, "pixels": np.uint8}


@dataclasses.dataclass(frozen=True)
class SharedBuffer:
    """Room for `count` images of `shape` (H, W, C), from an offset of an open file on.

    Its fields are arrays: "position" int64[n], "needs_pixels" bool[n], "label" int32[n], "pixels" uint8[n, H, W, C].
    The file descriptor must be inherited by the processes that share the buffer.
    """

    file: int
    offset: int
    count: int
    shape: tuple[int, int, int]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.count * sum(self._item_bytes(field) for field in _DTYPES)

    def write(self, field: str, values: np.ndarray, start: int = 0) -> None:
        """Write values, cast to the field's dtype, as its entries from `start` on."""
        remaining = memoryview(np.ascontiguousarray(values, _DTYPES[field])).cast("B")
        position = self._offset(field, start)
        while remaining:
            written = os.pwrite(self.file, remaining, position)  # one call writes 2 GB at most
            remaining = remaining[written:]
            position += written

    def read(self, field: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Copy of a field's entries from `start` to `stop`."""
        count = (self.count if stop is None else stop) - start
        values = np.empty((count, *self._item_shape(field)), _DTYPES[field])
        remaining = memoryview(values).cast("B")
        position = self._offset(field, start)
        while remaining:
            read = os.preadv(self.file, [remaining], position)
            remaining = remaining[read:]
            position += read
        return values

    def _item_shape(self, field: str) -> tuple[int, ...]:
        return self.shape if field == "pixels" else ()

    def _item_bytes(self, field: str) -> int:
        return np.dtype(_DTYPES[field]).itemsize * math.prod(self._item_shape(field))

    def _offset(self, field: str, start: int) -> int:
        fields = list(_DTYPES)
        preceding = fields[: fields.index(field)]
        return self.offset + self.count * sum(map(self._item_bytes, preceding)) + start * self._item_bytes(field)
