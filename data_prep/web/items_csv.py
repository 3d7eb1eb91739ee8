"""The list of images, items.csv: its columns, how it is written and how it is read."""

import csv
import io
import pathlib
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

from logogan_jax.core import files, pointers
from logogan_jax.core.errors import UserError

COLUMNS = (
    "name", "link", "page", "mime", "width", "height", "bytes", "sha1", "licence", "licence_url", "author", "source",
)  # fmt: skip
ORIGIN = ("licence", "licence_url", "author", "page", "source")  # columns that only say where an image is from


def to_csv(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows with the columns COLUMNS as the bytes of items.csv."""
    stream = io.StringIO(newline="")
    writer: csv.DictWriter[str] = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "replace")


def read_rows(filename: str | pathlib.Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file as dictionaries.

    The keys are `link`, `name`, `sha1`, those in ORIGIN, and `row`, the number of the row from 1 on.
    Raises UserError if the file cannot be read or has no column `link`.
    """
    path = files.expand(filename)
    pointers.refuse(path, "filename")
    csv.field_size_limit(1 << 24)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if "link" not in (reader.fieldnames or ()):
                start = f"it begins with {','.join(reader.fieldnames)[:80]!r}" if reader.fieldnames else "it is empty"
                raise UserError(f"--filename={path} should begin with a line of column names, with link; {start}")
            for number, line in enumerate(reader, 1):
                row = {column: (line.get(column) or "").strip() for column in ("link", "name", "sha1", *ORIGIN)}
                yield {**row, "name": row["name"] or _last_part(row["link"]), "row": number}
    except OSError as error:
        raise UserError(f"--filename={path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--filename={path} is not CSV in UTF-8: {error}") from None


def _last_part(link: str) -> str:
    """Return the last part of a link's path."""
    try:
        return urllib.parse.unquote(urllib.parse.urlsplit(link).path).rpartition("/")[-1]
    except ValueError:
        return ""
