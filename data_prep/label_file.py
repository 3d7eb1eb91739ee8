"""Labels of images from a file: a CSV with a line for each image, or the dataset.json of StyleGAN's tools."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.filesystem import Bucket, Folder, ZipFolder

STYLEGAN = "dataset.json"
_FILE = ("file", "path", "filename", "name", "image")  # columns that can name the file
_LABEL = ("label", "class")


def read(where: str, store: Folder | Bucket | ZipFolder) -> tuple[dict[str, str], str]:
    """Read the file that --labels names: a path, or else a name in the folder, bucket or zip of the images.

    Returns:
        ({relative name of an image: its label}, the file's own name in the folder, or "" where it lies elsewhere).
    """
    path = files.expand(where)
    inner = ""
    try:
        if path.is_file():
            data = path.read_bytes()
        else:
            data = store.read(where)
            inner = where
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"--labels={where} is not UTF-8 text: give a .csv or {STYLEGAN}") from None
    except (OSError, ValueError, KeyError):
        raise UserError(
            f"--labels={where} is neither 'folders', 'none', nor a file here or in {store}: give a .csv with the "
            f"columns file,label, or {STYLEGAN}"
        ) from None
    labels = _of_json(text, where) if text.lstrip().startswith("{") else _of_csv(text, where)
    if not labels:
        raise UserError(f"--labels={where} has no line: it should name each image and its label")
    return labels, inner


def has_labels(store: Folder | Bucket | ZipFolder) -> bool:
    """Return whether images come with the dataset.json of StyleGAN's tools that holds labels."""
    try:
        found = json.loads(store.read(STYLEGAN))
    except (OSError, ValueError, KeyError):
        return False
    return isinstance(found, dict) and bool(found.get("labels"))


def sort(labels: Mapping[str, str]) -> list[str]:
    """Return the different labels in order: numbers by their size, names by the alphabet."""
    different = set(labels.values())
    numbers = all(label.isascii() and label.isdigit() for label in different)
    return sorted(different, key=lambda label: (int(label), label) if numbers else (0, label))


def _of_json(text: str, where: str) -> dict[str, str]:
    form = 'it should be {"labels": [["00000/img00000000.png", 6], ...]}'
    try:
        listed = json.loads(text)["labels"]
    except (ValueError, KeyError):
        raise UserError(f"--labels={where} is not readable: {form}") from None
    if listed is None:
        raise UserError(f"--labels={where} says that the images have no labels: use --labels=none")
    pairs: Any = listed.items() if isinstance(listed, dict) else listed
    labels = {}
    try:
        for name, label in pairs:
            if not isinstance(name, str) or isinstance(label, bool) or not isinstance(label, int | str):
                raise TypeError
            _add(labels, name, str(label), where)
    except (TypeError, ValueError):
        raise UserError(f"--labels={where} has labels that are neither a number nor a name: {form}") from None
    return labels


def _of_csv(text: str, where: str) -> dict[str, str]:
    lines = csv.DictReader(io.StringIO(text))
    labels: dict[str, str] = {}
    try:
        columns = [name or "" for name in lines.fieldnames or ()]
        file_column = next((name for name in columns if name.strip().lower() in _FILE), None)
        label_column = next((name for name in columns if name.strip().lower() in _LABEL), None)
        if file_column is None or label_column is None:
            shown = ",".join(columns)[:80]
            raise UserError(f"--labels={where} begins with {shown!r}: its first line should be file,label")
        for line in lines:
            if not line[file_column] or line[label_column] is None:
                raise UserError(f"--labels={where}, line {lines.line_num}: it should have a file and its label")
            _add(labels, line[file_column], line[label_column], where)
    except csv.Error as error:
        raise UserError(f"--labels={where}, line {lines.line_num}: {error}") from None
    return labels


def _add(labels: dict[str, str], name: str, label: str, where: str) -> None:
    name = name.removeprefix("./")
    if labels.setdefault(name, label) != label:
        raise UserError(f"--labels={where} gives {name} the labels {labels[name]!r} and {label!r}: leave one of them")
