"""Which files below a folder are read: all but hidden ones, those of our tools, and what our tools made of them."""

import json
import os
import pathlib
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any

from data_prep.pictures import convert, rasters, svg_text
from logogan_jax.core import files, pointers
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem
from logogan_jax.core.storage.filesystem import Bucket, Folder, ZipFolder

SETTINGS = "settings.json"
_TOOL_FILES = {"manifest.jsonl", "rejects.jsonl", "removed.jsonl", SETTINGS}  # that our tools leave beside images
_SYSTEM_FOLDERS = {"@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
_REPORT = ("report.html", "report.json", "images.jsonl")
_PEEK_BYTES = 64 << 20  # a larger file is no picture beside the sub-folders
_START_BYTES = 4096
_ARRAYS = (".npy", ".npz", ".pkl", ".pickle", ".h5", ".hdf5")
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar")


def open_folder(path: str | pathlib.Path, flag: str = "path") -> Folder | Bucket:
    """The store of a folder or bucket; UserError, which says what there is instead, if it is none."""
    store = filesystem.open_store(path)
    if not store.exists():
        raise UserError(f"--{flag}={path} is not a folder{_describe_other(path, flag)}")
    return store


def image_names(store: Folder | Bucket | ZipFolder, left_out: dict[str, str] | None = None) -> Iterator[str]:
    """Yield the names of the files that may be images; `left_out` gets {name of a folder that is not read: reason}."""
    return (name for name in _names(store, left_out) if name.rpartition("/")[2] not in _TOOL_FILES)


def manifest_names(store: Folder | Bucket) -> list[str]:
    """Return the names of the files that list where images come from and their licences."""
    return [name for name in _names(store) if name.rpartition("/")[2] == "manifest.jsonl"]


def _names(store: Folder | Bucket | ZipFolder, left_out: dict[str, str] | None = None) -> Iterator[str]:
    if isinstance(store, Bucket | ZipFolder):
        return store.names()
    return store.names(lambda folder: _reason_to_leave(store.path, folder), left_out)


def describe_left_out(path: str | pathlib.Path, left_out: dict[str, str]) -> str:
    """One line on the folders that are not read."""
    parts = [f"{name} ({reason})" for name, reason in list(left_out.items())[:3]]
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return f"Not read in {path}: {', '.join(parts)}{more}."


def is_image(store: Folder | Bucket | ZipFolder, name: str) -> bool:
    """Whether a file is a picture by its first bytes, whatever its name; nothing is decoded."""
    try:
        if (store.size(name) or 0) > _PEEK_BYTES:
            return False
        return is_picture(store.read(name))
    except convert.DECODE_ERRORS:
        return False


def is_picture(data: bytes) -> bool:
    """Whether bytes are a picture by the first of them; nothing is decoded."""
    try:
        return svg_text.looks_like_svg(data) or bool(rasters.header(data))
    except rasters.TOO_LARGE:
        return True
    except convert.DECODE_ERRORS:
        return False


def is_svg(path: pathlib.Path) -> bool:
    """Whether a file is an SVG by its first element, whatever its name; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(_START_BYTES)
            return svg_text.may_be_svg(data) and svg_text.looks_like_svg(data + file.read(_PEEK_BYTES))
    except OSError:
        return False


def read_settings(folder: pathlib.Path) -> dict[str, Any]:
    """The settings.json of a folder that our tools made, {} without."""
    try:
        found = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_settings(
    folder: pathlib.Path, settings: dict[str, Any], source: pathlib.Path | None, target: pathlib.Path | None = None
) -> None:
    """Write the settings.json of a folder, which also says of which folders its images are made.

    These sources are relative, so that they are right after both have been moved together. `target` is the place that
    the folder will be moved to, if it is being made elsewhere.
    """
    sources = set(read_settings(folder).get("sources", []))
    if source:
        sources.add(os.path.relpath(os.path.realpath(source), os.path.realpath(target or folder)))
    files.write_json(folder / SETTINGS, {**settings, **({"sources": sorted(sources)} if sources else {})})


def _reason_to_leave(root: pathlib.Path, name: str) -> str | None:
    """Why a folder below the root, by its relative name, is not read; None if it is."""
    folder = root / name
    if folder.name in _SYSTEM_FOLDERS:
        return "a folder of the system"
    if is_shards(folder):
        return "shards"
    if (folder / "config.json").exists() and (folder / "metrics.jsonl").exists():
        return "a training run"
    if all((folder / file).exists() for file in _REPORT):
        return "a report of inspect_data"
    return "made by our tools from images that are read here" if _is_made_from(root, folder) else None


def _is_made_from(root: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a folder says that all its images are made of others below the root, and these are there."""
    real_folder = os.path.realpath(folder)
    sources = [os.path.realpath(folder / source) for source in read_settings(folder).get("sources", [])]
    return bool(sources) and all(
        os.path.exists(source) and _lies_in(source, os.path.realpath(root)) and not _lies_in(source, real_folder)
        for source in sources
    )


def _lies_in(path: str, folder: str) -> bool:
    return os.path.commonpath([folder, path]) == folder


def is_shards(folder: pathlib.Path) -> bool:
    """Whether a folder holds shards of ours."""
    try:
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(metadata, dict) and {"size", "channels", "labels"} <= metadata.keys()


def _describe_other(path: str | pathlib.Path, flag: str) -> str:
    """What a path is that is no folder, and which command takes it."""
    file = files.expand(path)
    ending = file.suffix.lower()
    if "://" not in str(path) and (pointer := pointers.describe_file(file)):
        return f" but {pointer}"
    if "://" in str(path) or not file.exists():
        return ": nothing is there"
    if ending in _ARRAYS:
        return f" but arrays: python -m data_prep.import_arrays --filename={path} makes images of them"
    if ending == ".csv":
        return f" but a list: python -m data_prep.download_images --filename={path} downloads it"
    if ending in _ARCHIVES or (file.is_file() and (zipfile.is_zipfile(file) or tarfile.is_tarfile(file))):
        folder = file.with_suffix("").with_suffix("") if file.stem.endswith(".tar") else file.with_suffix("")
        how = f"unzip -q {path} -d {folder}" if ending == ".zip" else f"mkdir {folder} && tar -xf {path} -C {folder}"
        return f" but an archive: unpack it ({how}) and give --{flag}={folder}"
    return f" but a file: give the folder that it lies in, --{flag}={file.parent}"
