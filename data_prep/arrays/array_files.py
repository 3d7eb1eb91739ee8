"""Arrays of images in files: pickles, .npy, .npz and HDF5, read piece by piece where the format lets us."""

import contextlib
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from typing import Any, NamedTuple

import h5py
import numpy as np

from data_prep.arrays import pickles
from logogan_jax.core.errors import UserError

_SHAPES, _NAMES = "shapes", "meta_data/names"  # where LLD-logo keeps them
# What readers of broken files raise; numpy reads headers as Python writes them.
_BROKEN = (
    ValueError, KeyError, OSError, EOFError, RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Opened(NamedTuple):
    """Images, an array of 4 dimensions (3 if grey) or what can be sliced like one, and what is known of each.

    `labels` are whole numbers, `shapes` are those of images that were padded to one size, `names` are text;
    each may be None.
    """

    images: Any
    labels: Any = None
    shapes: Any = None
    names: Any = None


@contextlib.contextmanager
def opened(path, key=None, labels=None):
    """The Opened of a file, whatever it is called; `key` and `labels` are names of arrays in an .npz or HDF5 file."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UserError(f"--filename={path}: {error.strerror}") from None
    kind = next((opener for magic, opener in _KINDS.items() if start.startswith(magic)), _pickle)
    with contextlib.ExitStack() as stack:
        with _spoken(path, *_BROKEN):
            found = stack.enter_context(kind(path, key, labels))
        with _spoken(path, OSError):  # HDF5 notices damage when it gets there
            yield found


@contextlib.contextmanager
def _spoken(path, *kinds):
    """Tell in one line what reading a broken file raises."""
    try:
        yield
    except kinds as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the system, such as a full disk
        why = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({why}): it is damaged, or holds more than numbers") from None


@contextlib.contextmanager
def _pickle(path, key, labels):
    _only(path, key, labels)
    yield Opened(pickles.load(path))


@contextlib.contextmanager
def _npy(path, key, labels):
    _only(path, key, labels)
    yield Opened(np.load(path, mmap_mode="r", allow_pickle=False))


def _only(path, key, labels):
    for flag, value in (("key", key), ("labels", labels)):
        if value:
            raise UserError(f"--{flag}={value} is for files with several arrays, but {path} has one: leave it out")


@contextlib.contextmanager
def _npz(path, key, labels):
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}

        def unpacked(name):
            # On the disk it can be read piece by piece.
            with archive.open(members[name]) as packed, tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                shutil.copyfileobj(packed, file)
            return np.load(file.name, mmap_mode="r", allow_pickle=False)

        dimensions = {name: _dimensions(archive, member) for name, member in members.items()}
        key = _chosen(path, dimensions, key, "key")
        labels = labels and _chosen(path, dimensions, labels, "labels")
        yield Opened(unpacked(key), labels and unpacked(labels))


def _dimensions(archive, member):
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        shape, _, _ = _HEADERS.get(version, _HEADERS[2, 0])(file)
    return len(shape)


@contextlib.contextmanager
def _hdf5(path, key, labels):
    with h5py.File(path, "r") as file:
        dimensions = {}
        file.visititems(lambda name, found: dimensions.update({name: found.ndim} if _is_array(found) else {}))
        key = _chosen(path, dimensions, key, "key")
        labels = labels and file[_chosen(path, dimensions, labels, "labels")][:]
        count = len(file[key])
        known = {name: file[name] for name in (_SHAPES, _NAMES) if name in dimensions and len(file[name]) == count}
        shapes = known[_SHAPES][:] if _SHAPES in known else None
        yield Opened(file[key], labels, shapes, known.get(_NAMES))


def _is_array(found):
    # Arrays whose values are in other files could bring in anything that this user can read.
    return isinstance(found, h5py.Dataset) and found.shape and not found.external and not found.is_virtual


def _chosen(path, dimensions, name, flag):
    """The name that is asked for, or that of the only array of 4 dimensions; names are those of `dimensions`."""
    names = ", ".join(dimensions) or "none"
    if name is not None:
        if name.strip("/") not in dimensions:
            raise UserError(f"--{flag}={name} is not among the arrays of {path}: {names}")
        return name.strip("/")
    images = [name for name, count in dimensions.items() if count == 4]
    if len(images) != 1:
        raise UserError(f"{path} has {len(images)} arrays of 4 dimensions, not one: choose with --key among {names}")
    return images[0]


_KINDS = {b"\x93NUMPY": _npy, b"PK": _npz, b"\x89HDF\r\n\x1a\n": _hdf5}
