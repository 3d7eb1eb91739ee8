"""A numpy array out of a pickle, of Python 2 or 3 and any protocol, without running anything that is in it.

A pickle is a program for a small machine, which may name any function and call it. Here the machine knows
only what an array of numbers needs, and the names in it stand for functions of ours, which note what they
are given; numpy itself sees nothing but a checked type, a checked shape and bytes.
"""

import math
import mmap
import pickle
import re
import types

import numpy as np

from logogan_jax.core.errors import UserError

_CODES = """PROTO STOP FRAME MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING
    SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 READONLY_BUFFER UNICODE BINUNICODE SHORT_BINUNICODE
    BINUNICODE8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 GLOBAL STACK_GLOBAL INST REDUCE BUILD PUT BINPUT LONG_BINPUT
    MEMOIZE GET BINGET LONG_BINGET"""


def load(path):
    """The array of numbers in a pickle; UserError if there is anything else in it."""
    with open(path, "rb") as file:
        try:
            # Mapped, because from a map no more is read than there is, whatever a length in the file says.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = _Machine(data, encoding="bytes").load()
            if not isinstance(found, _Array) or found.values is None:
                raise ValueError("it holds something else")
        except _Refused as error:
            raise UserError(f"{path}: {error}: nothing of it was run; do not trust this file") from None
        except Exception as error:  # a machine that is given nonsense may fail in any way
            why = " ".join(str(error).split())[:200] or type(error).__name__
            if isinstance(error, KeyError):
                why = "it holds lists, dictionaries or other Python objects"
            elif isinstance(error, EOFError):
                why = "it is cut short"
            raise UserError(
                f"{path} is not a pickle of one numpy array of numbers ({why}): it should be what ndarray.dump or "
                f"pickle.dump writes, or an .npy, .npz or HDF5 file"
            ) from None
    return found.values


class _Refused(Exception):
    """The file names something that is no part of an array."""


class _DType:
    """What a pickle says of a dtype."""

    def __init__(self, code, *_):
        self.code, self.order = _text(code), "="

    def __setstate__(self, state):
        _, order, *parts = state[:5]
        if any(part is not None for part in parts):
            raise ValueError("its values have parts")
        self.order = _text(order)

    def plain(self):
        """The numpy dtype, which is one of whole or real numbers."""
        if not re.fullmatch(r"b1|[iu][1248]|f[248]", self.code) or self.order not in ("<", ">", "|", "="):
            what = "Python objects" if self.code.startswith("O") else f"values of the type {self.code[:20]!r}"
            raise ValueError(f"it holds {what}, not numbers")
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """What a pickle says of an array; `values` are None until it has said all."""

    values = None

    def __setstate__(self, state):
        *_, shape, dtype, column_major, data = state
        self.values = _plain(data, dtype, shape, "F" if column_major else "C")


def _reconstruct(*_):
    return _Array()


def _frombuffer(data, dtype, shape, order):
    array = _Array()
    array.values = _plain(data, dtype, shape, _text(order))
    return array


def _encode(text, encoding):
    if _text(encoding).replace("-", "") != "latin1":
        raise ValueError(f"its bytes are coded as {encoding!r}")
    return text.encode("latin-1")


_NAMES = {
    "numpy.ndarray": "ndarray",  # which is only ever an argument
    "numpy.dtype": _DType,
    "_codecs.encode": _encode,
    "__builtin__.bytes": lambda: b"",  # how Python 3 writes no bytes for Python 2
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}


# The machine of the standard library that is written in Python: that in C has a table of operations that cannot be
# cut down, and lets eight bytes of a file claim all memory.
class _Machine(pickle._Unpickler):
    dispatch = types.MappingProxyType(
        {code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _CODES.split())}
    )

    def find_class(self, module, name):
        """What stands for a name in the file."""
        if f"{module}.{name}" not in _NAMES:
            raise _Refused(f"it wants to run {module}.{name}"[:200])
        return _NAMES[f"{module}.{name}"]


def _plain(data, dtype, shape, order):
    """Bytes, _DType, tuple -> array, if all of them fit together."""
    kind = dtype.plain()
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    wanted, there = math.prod(shape) * kind.itemsize, memoryview(data).nbytes
    if wanted != there:
        raise ValueError(f"it claims the shape {shape}, which takes {wanted:,} bytes, and holds {there:,}")
    return np.frombuffer(data, kind).reshape(shape, order=order)


def _text(value):
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
