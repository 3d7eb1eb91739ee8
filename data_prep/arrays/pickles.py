"""A numpy array from a pickle, of Python 2 or 3 and any protocol, without running anything that is in it.

A pickle is a program for a small machine, and can name any function and call it. The machine here knows only the
operations that an array of numbers needs. The names in the pickle stand for functions of this module, which only
record their arguments. numpy itself gets nothing but a checked type, a checked shape and bytes.
"""

import math
import mmap
import pathlib
import pickle
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from logogan_jax.core.errors import UserError

_ALLOWED_OPERATIONS = """PROTO STOP FRAME MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING
    BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 READONLY_BUFFER UNICODE BINUNICODE
    SHORT_BINUNICODE BINUNICODE8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 GLOBAL STACK_GLOBAL INST REDUCE BUILD PUT BINPUT
    LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET"""


def load(path: pathlib.Path) -> np.ndarray:
    """Return the array of numbers in a pickle; UserError if the pickle holds anything else."""
    with open(path, "rb") as file:
        try:
            # Mapped: a map has only the bytes of the file, even if a length in the file claims terabytes.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                array = _SafeUnpickler(data, encoding="bytes").load()
            if not isinstance(array, _RecordedArray) or array.values is None:
                raise ValueError("it holds something else")
        except _ForbiddenName as error:
            raise UserError(f"{path}: {error}: nothing of it was run; do not trust this file") from None
        except Exception as error:  # on damaged input the machine can fail in any way
            raise UserError(
                f"{path} is not a pickle of one numpy array of numbers ({_describe(error)}): it should be what "
                f"ndarray.dump or pickle.dump writes, or an .npy, .npz or HDF5 file"
            ) from None
    return array.values


def _describe(error: Exception) -> str:
    if isinstance(error, KeyError):  # an operation that is not allowed
        return "it holds lists, dictionaries or other Python objects"
    if isinstance(error, EOFError):
        return "it is cut short"
    return " ".join(str(error).split())[:200] or type(error).__name__


class _ForbiddenName(Exception):
    """The file names something that is no part of an array."""


class _RecordedDType:
    """The arguments with which a pickle makes a dtype."""

    def __init__(self, code: Any, *_: Any):
        self.code = _to_text(code)
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        _, order, *parts = state[:5]
        if any(part is not None for part in parts):
            raise ValueError("its values have parts")
        self.order = _to_text(order)

    def to_numpy(self) -> np.dtype:
        """Return the numpy dtype; ValueError if it is not one of whole or real numbers."""
        if not re.fullmatch(r"b1|[iu][1248]|f[248]", self.code) or self.order not in ("<", ">", "|", "="):
            kind = "Python objects" if self.code.startswith("O") else f"values of the type {self.code[:20]!r}"
            raise ValueError(f"it holds {kind}, not numbers")
        return np.dtype(self.code).newbyteorder(self.order)  # pyright: ignore[reportArgumentType] - checked above


class _RecordedArray:
    """The arguments with which a pickle makes an array; `values` is None until all of them are known."""

    values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        *_, shape, dtype, column_major, data = state
        self.values = _build_array(data, dtype, shape, "F" if column_major else "C")


def _reconstruct(*_: Any) -> _RecordedArray:
    return _RecordedArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> _RecordedArray:
    array = _RecordedArray()
    array.values = _build_array(data, dtype, shape, _to_text(order))
    return array


def _encode(text: str, encoding: Any) -> bytes:
    if _to_text(encoding).replace("-", "") != "latin1":
        raise ValueError(f"its bytes are coded as {encoding!r}")
    return text.encode("latin-1")


_ALLOWED_NAMES: dict[str, str | Callable[..., Any]] = {
    "numpy.ndarray": "ndarray",  # only used as an argument
    "numpy.dtype": _RecordedDType,
    "_codecs.encode": _encode,
    "__builtin__.bytes": lambda: b"",  # how Python 3 writes empty bytes for Python 2
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}


# The standard library's machine written in Python. That in C does not permit to remove operations, and allocates
# whatever a length of eight bytes in the file claims.
class _SafeUnpickler(pickle._Unpickler):
    dispatch = types.MappingProxyType(  # pyright: ignore[reportAssignmentType] - read-only on purpose
        {
            code: pickle._Unpickler.dispatch[code]
            for code in (getattr(pickle, name)[0] for name in _ALLOWED_OPERATIONS.split())
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name in the file."""
        if f"{module}.{name}" not in _ALLOWED_NAMES:
            raise _ForbiddenName(f"it wants to run {module}.{name}"[:200])
        return _ALLOWED_NAMES[f"{module}.{name}"]


def _build_array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Return bytes as an array; ValueError if their number does not fit the type and the shape."""
    kind = dtype.to_numpy()
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    claimed = math.prod(shape) * kind.itemsize
    held = memoryview(data).nbytes
    if claimed != held:
        raise ValueError(f"it claims the shape {shape}, which takes {claimed:,} bytes, and holds {held:,}")
    return np.frombuffer(data, kind).reshape(shape, order=order)


def _to_text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
