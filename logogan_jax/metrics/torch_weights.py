"""Tensors out of a PyTorch weights file, without PyTorch and without running anything that is in the file.

Such a file holds a pickle, which is a program for a small machine that may name any function and call it. Here
the machine knows only what a dictionary of tensors needs: names are inert words, three of them may be called and
stand for functions of ours, and the numbers are views of the file's bytes whose bounds were checked.
"""

import io
import math
import pathlib
import pickle
import struct
import types
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before PyTorch 1.6
_CODES = """PROTO STOP FRAME MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINUNICODE SHORT_BINUNICODE
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT GLOBAL STACK_GLOBAL BINPERSID
    BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET"""
_DTYPES = {"Float": "f4", "Double": "f8", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1",
           "Byte": "u1", "Bool": "b1"}  # fmt: skip
_STORAGES = {f"torch.{name}Storage": dtype for name, dtype in _DTYPES.items()}


def load(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """Return {name: read-only array} of a file that torch.save(network.state_dict()) wrote, old or zip."""
    path = pathlib.Path(path)
    pointers.refuse(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file: it should be a PyTorch weights file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return _from_zip(data) if data.startswith(b"PK") else _from_stream(data)
    except _Refused as error:
        raise UserError(f"{path}: it wants to run {error}: nothing of it was run; do not trust this file") from None
    except Exception as error:  # a machine that is given nonsense may fail in any way
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path} is not a whole file of PyTorch weights ({why}): it should be what "
            f"torch.save(network.state_dict()) writes; if it was downloaded, download it again"
        ) from None


class _Refused(Exception):
    """The file names something that is no part of a dictionary of tensors."""


class _Name(str):
    """A dotted name in the file: a word, not what it names."""


class _Storage(NamedTuple):
    """A flat row of `count` numbers that the file holds under a key."""

    key: str
    dtype: str
    count: int


class _Tensor(NamedTuple):
    """What the file says of a tensor: a view of a storage, counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """Return a tensor whose every element lies in its storage."""
    if type(storage) is not _Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise ValueError("a tensor in it has no storage, shape or strides")
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise ValueError("a tensor in it has an offset, a shape or strides that are not whole numbers")
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    size = math.prod(shape)
    if (size and last >= storage.count) or size > storage.count or offset > storage.count:
        raise ValueError(f"it claims a tensor of shape {shape} in a storage of {storage.count:,} numbers")
    return _Tensor(storage, offset, shape, strides)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda: {},
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
}


# The machine of the standard library that is written in Python: that in C has a table of operations that cannot be
# cut down, and lets eight bytes of a file claim all memory.
class _Machine(pickle._Unpickler):
    # What the class has, and its annotations do not name.
    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> _Name:
        """Return the word for a name in the file, if a dictionary of tensors may hold it."""
        dotted = _Name(f"{module}.{name}")
        if dotted not in _CALLS and dotted not in _STORAGES:
            raise _Refused(repr(dotted[:150]))
        return dotted

    def persistent_load(self, what: Any) -> _Storage:
        """Return the storage that the file refers to."""
        kind, storage, key, _, count, *view = what
        if kind != "storage" or type(key) is not str or type(count) is not int or count < 0 or any(view):
            raise ValueError("it refers to something that is no storage")
        if type(storage) is not _Name or storage not in _STORAGES:
            raise ValueError(f"it holds numbers of the kind {str(storage)[:80]!r}")
        return _Storage(key, _STORAGES[storage], count)

    def _call(self) -> None:
        arguments = self.stack.pop()
        name = self.stack.pop()
        if type(name) is not _Name or name not in _CALLS:
            raise _Refused(f"what is no function ({name[:80]!r})" if isinstance(name, str) else "what is no function")
        self.append(_CALLS[name](*arguments))

    def _configure(self) -> None:
        self.stack.pop()  # the versions of the network's layers, or whatever else: it configures nothing

    def _put(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        self._insert([key, value])

    def _put_many(self) -> None:
        self._insert(self.pop_mark())

    def _insert(self, items: list[Any]) -> None:
        # Only words and numbers are keys, because the hash of tuples in tuples ends the process when they are deep.
        if not isinstance(self.stack[-1], dict) or not all(type(key) in (str, int) for key in items[::2]):
            raise ValueError("it holds Python objects")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    dispatch: Any = types.MappingProxyType(
        {code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _CODES.split())}
        | {pickle.REDUCE[0]: _call, pickle.BUILD[0]: _configure, pickle.SETITEM[0]: _put, pickle.SETITEMS[0]: _put_many}
    )


def _pickled(file: BinaryIO) -> Any:
    """Return the next pickle of a file: words, numbers, tuples, lists, dictionaries, storages and tensors."""
    try:
        return _Machine(file).load()
    except KeyError:
        raise ValueError("it holds other things than tensors") from None
    except EOFError:
        raise ValueError("it is cut short") from None


def _state(found: Any) -> dict[str, _Tensor]:
    """Return the dictionary, if it is one of tensors."""
    if not isinstance(found, dict) or not found:
        raise ValueError("it holds no dictionary of tensors")
    for name, value in found.items():
        if type(name) is not str or type(value) is not _Tensor:
            raise ValueError(f"its entry {str(name)[:80]!r} is no tensor")
    return found


def _view(tensor: _Tensor, data: bytes, start: int, order: str = "<") -> np.ndarray:
    """Return the tensor's array, given bytes in which its storage begins at `start`."""
    dtype = np.dtype(order + tensor.storage.dtype)
    begin = start + tensor.offset * dtype.itemsize
    steps = [step * dtype.itemsize for step in tensor.strides]
    return np.ndarray(tensor.shape, dtype, data, begin, steps)


def _from_stream(data: bytes) -> dict[str, np.ndarray]:
    """Read the old format: five pickles, then each storage's length and bytes."""
    file = io.BytesIO(data)
    if _pickled(file) != _MAGIC:
        raise ValueError("it begins with something else")
    _pickled(file)  # the version of the format
    _pickled(file)  # the machine that wrote it
    state = _state(_pickled(file))
    keys = _pickled(file)
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    starts: dict[_Storage, int] = {}
    for key in keys:
        begin = file.tell() + 8
        length = len(data[begin - 8 : begin]) == 8 and struct.unpack_from("<q", data, begin - 8)[0]
        end = begin + storages[key].count * np.dtype(storages[key].dtype).itemsize
        if length != storages[key].count or end > len(data):
            raise ValueError("it is cut short or damaged")
        starts[storages[key]] = begin
        file.seek(end)
    return {name: _view(tensor, data, starts[tensor.storage]) for name, tensor in state.items()}


def _from_zip(data: bytes) -> dict[str, np.ndarray]:
    """Read the format since PyTorch 1.6: an archive of one pickle and a file of bytes for each storage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        mains = [part.filename for part in parts if part.filename.endswith("/data.pkl")]
        if len(mains) != 1:
            raise ValueError("it is an archive of something else")
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        if packed or sum(part.file_size for part in parts) > len(data):
            raise ValueError("its parts claim more bytes than it has")
        folder = mains[0].removesuffix("data.pkl")
        state = _state(_pickled(io.BytesIO(archive.read(mains[0]))))
        rows: dict[_Storage, bytes] = {}
        for storage in {tensor.storage for tensor in state.values()}:
            rows[storage] = archive.read(f"{folder}data/{storage.key}")
            if len(rows[storage]) != storage.count * np.dtype(storage.dtype).itemsize:
                raise ValueError(f"its storage {storage.key[:80]!r} has {len(rows[storage]):,} bytes")
        named = f"{folder}byteorder" in archive.namelist()  # files from before PyTorch 2.1 do not say it
        order = {b"little": "<", b"big": ">"}[archive.read(f"{folder}byteorder") if named else b"little"]
    return {name: _view(tensor, rows[tensor.storage], 0, order) for name, tensor in state.items()}
