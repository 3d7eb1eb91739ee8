"""A piece of a file in memory, in which one process names images and others put their pixels."""

import math
import os
from typing import NamedTuple

import numpy as np


class SharedBuffer(NamedTuple):
    """Room for `count` images of `shape` (H, W, C) from an offset of an open file on.

    Its fields are arrays: "position" int64[n], "needs_pixels" bool[n], "label" int32[n], "pixels" uint8[n, H, W, C].
    """

    file: int
    offset: int
    count: int
    shape: tuple[int, int, int]

    @property
    def nbytes(self):
        """Bytes that it takes."""
        return self.count * sum(self._each(field) for field in _DTYPES)

    def write(self, field, values, start=0):
        """Write an array of a field's type as its entries from `start` on."""
        left = memoryview(np.ascontiguousarray(values, _DTYPES[field])).cast("B")
        at = self._offset(field, start)
        while left:
            done = os.pwrite(self.file, left, at)  # no more than 2 GB at a time
            left, at = left[done:], at + done

    def read(self, field, start=0, stop=None):
        """The entries from `start` to `stop` of a field, as an array of its own."""
        count = (self.count if stop is None else stop) - start
        values = np.empty((count, *self._shape(field)), _DTYPES[field])
        left, at = memoryview(values).cast("B"), self._offset(field, start)
        while left:
            done = os.preadv(self.file, [left], at)
            left, at = left[done:], at + done
        return values

    def _shape(self, field):
        return self.shape if field == "pixels" else ()

    def _each(self, field):
        return np.dtype(_DTYPES[field]).itemsize * math.prod(self._shape(field))

    def _offset(self, field, start):
        before = list(_DTYPES)[: list(_DTYPES).index(field)]
        return self.offset + self.count * sum(map(self._each, before)) + start * self._each(field)


_DTYPES = {"position": np.int64, "needs_pixels": np.bool_, "label": np.int32, "pixels": np.uint8}
