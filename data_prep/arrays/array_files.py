"""Arrays of images in files: pickles, .npy, .npz and HDF5, read in pieces where the format permits it."""

import contextlib
import pathlib
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

from data_prep.arrays import pickles
from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError

# Where LLD-logo keeps them.
_SHAPES = "shapes"
_NAMES = "meta_data/names"
# What readers raise on broken files. numpy parses headers as Python source, so syntax errors are among them.
_READ_ERRORS = (
    ValueError, KeyError, OSError, EOFError, RuntimeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ImageArrays(NamedTuple):
    """The arrays of one file.

    `images` has 4 dimensions (3 if grey) and can be sliced like an array. `labels` are int[n], `shapes` are the
    shapes (int[n, 3]) of images that were padded to one size, `names` are text; each of these can be None.
    """

    images: Any
    labels: Any = None
    shapes: Any = None
    names: Any = None


@contextlib.contextmanager
def open_arrays(path: pathlib.Path, key: str | None = None, labels: str | None = None) -> Iterator[ImageArrays]:
    """Open a file, whose format is found from its first bytes.

    `key` and `labels` are names of arrays in an .npz or HDF5 file. Raises UserError if the file cannot be read.
    """
    pointers.refuse(path, "filename")
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"--filename={path}: {error.strerror}") from None
    open_format = next((opener for magic, opener in _FORMATS.items() if start.startswith(magic)), _open_pickle)
    with contextlib.ExitStack() as stack:
        with _errors_in_one_line(path, *_READ_ERRORS):
            arrays = stack.enter_context(open_format(path, key, labels))
        with _errors_in_one_line(path, OSError):  # HDF5 finds damage only when it reads that part
            yield arrays


@contextlib.contextmanager
def _errors_in_one_line(path: pathlib.Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turn the errors of reading a broken file into a UserError."""
    try:
        yield
    except kinds as error:
        if isinstance(error, OSError) and error.errno:
            raise  # an error of the system, such as a full disk
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}): it is damaged, or holds more than numbers") from None


@contextlib.contextmanager
def _open_pickle(path: pathlib.Path, key: str | None, labels: str | None) -> Iterator[ImageArrays]:
    _refuse_names(path, key, labels)
    yield ImageArrays(pickles.load(path))


@contextlib.contextmanager
def _open_npy(path: pathlib.Path, key: str | None, labels: str | None) -> Iterator[ImageArrays]:
    _refuse_names(path, key, labels)
    yield ImageArrays(np.load(path, mmap_mode="r", allow_pickle=False))


def _refuse_names(path: pathlib.Path, key: str | None, labels: str | None) -> None:
    for flag, value in (("key", key), ("labels", labels)):
        if value:
            raise UserError(f"--{flag}={value} is for files with several arrays, but {path} has one: leave it out")


@contextlib.contextmanager
def _open_npz(path: pathlib.Path, key: str | None, labels: str | None) -> Iterator[ImageArrays]:
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}

        def unpack(name: str) -> np.ndarray:
            # Only unpacked on the disk can it be read in pieces.
            with archive.open(members[name]) as packed, tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                shutil.copyfileobj(packed, file)
            return np.load(file.name, mmap_mode="r", allow_pickle=False)

        dimensions = {name: _count_dimensions(archive, member) for name, member in members.items()}
        key = _choose_images(path, dimensions, key)
        yield ImageArrays(unpack(key), unpack(_check_name(path, dimensions, labels, "labels")) if labels else None)


def _count_dimensions(archive: zipfile.ZipFile, member: str) -> int:
    with archive.open(member) as file:
        if pointer := pointers.describe(file.read(64)):
            raise UserError(f"{member} in {archive.filename} is {pointer}")
        file.seek(0)
        version = np.lib.format.read_magic(file)
        shape, _, _ = _HEADER_READERS.get(version, _HEADER_READERS[2, 0])(file)
    return len(shape)


@contextlib.contextmanager
def _open_hdf5(path: pathlib.Path, key: str | None, labels: str | None) -> Iterator[ImageArrays]:
    with h5py.File(path, "r") as file:
        datasets: dict[str, h5py.Dataset] = {}

        def collect(name: str, entry: h5py.Group | h5py.Dataset) -> None:
            if isinstance(entry, h5py.Dataset) and _is_array(entry):
                datasets[name] = entry

        file.visititems(collect)
        dimensions = {name: dataset.ndim for name, dataset in datasets.items()}
        images = datasets[_choose_images(path, dimensions, key)]
        label_array = datasets[_check_name(path, dimensions, labels, "labels")][:] if labels else None
        fitting = {name: dataset for name, dataset in datasets.items() if len(dataset) == len(images)}
        shapes = fitting[_SHAPES][:] if _SHAPES in fitting else None
        yield ImageArrays(images, label_array, shapes, fitting.get(_NAMES))


def _is_array(dataset: h5py.Dataset) -> bool:
    # Values that lie in other files could be any file that the user can read.
    return bool(dataset.shape) and not dataset.external and not dataset.is_virtual


def _choose_images(path: pathlib.Path, dimensions: dict[str, int], key: str | None) -> str:
    """Return the name `key`, or else that of the only array with 4 dimensions; UserError if there is none."""
    if key is not None:
        return _check_name(path, dimensions, key, "key")
    images = [name for name, count in dimensions.items() if count == 4]
    if len(images) != 1:
        choices = _join_names(dimensions)
        raise UserError(f"{path} has {len(images)} arrays of 4 dimensions, not one: choose with --key among {choices}")
    return images[0]


def _check_name(path: pathlib.Path, dimensions: dict[str, int], name: str, flag: str) -> str:
    """Return a name without slashes around it; UserError if there is no array of this name."""
    if name.strip("/") not in dimensions:
        raise UserError(f"--{flag}={name} is not among the arrays of {path}: {_join_names(dimensions)}")
    return name.strip("/")


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


_Opener = Callable[[pathlib.Path, str | None, str | None], contextlib.AbstractContextManager[ImageArrays]]
_FORMATS: dict[bytes, _Opener] = {b"\x93NUMPY": _open_npy, b"PK": _open_npz, b"\x89HDF\r\n\x1a\n": _open_hdf5}
