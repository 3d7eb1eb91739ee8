"""The rows of a list of images, as wiki_spider writes it."""

import csv
import hashlib
import pathlib
import re
import unicodedata
import urllib.parse

from data_prep.web import recognise
from logogan_jax.core.errors import UserError

TOLD = ("licence", "licence_url", "author", "page", "source")  # columns that only tell where an image is from
# Separators of paths, what Windows forbids, what an address ends at, and marks that turn the direction of text.
_UNWANTED = re.compile(r'[/\\:*?"<>|#\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]')


def rows(filename):
    """The rows of a CSV file, one by one: dictionaries of `link`, `name`, `sha1`, the columns TOLD, and `row`."""
    path = pathlib.Path(filename).expanduser()
    csv.field_size_limit(1 << 24)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            if "link" not in (lines.fieldnames or ()):
                found = f"it begins with {','.join(lines.fieldnames)[:80]!r}" if lines.fieldnames else "it is empty"
                raise UserError(f"--filename={path} should begin with a line of column names, with link; {found}")
            for number, line in enumerate(lines, 1):
                row = {column: (line.get(column) or "").strip() for column in ("link", "name", "sha1", *TOLD)}
                yield {**row, "name": row["name"] or _last(row["link"]), "row": number}
    except OSError as error:
        raise UserError(f"--filename={path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--filename={path} is not CSV in UTF-8: {error}") from None


def file_name(name, link, extension):
    """A file name that a person can read, that depends on the row alone and is no other link's: logo-1a2b3c4d.png."""
    text = unicodedata.normalize("NFC", name)
    path = pathlib.PurePosixPath(text)
    stem = text[: -len(path.suffix)] if path.suffix.lower() in recognise.EXTENSIONS else text
    # Controls, halves of characters, ends of lines. Letters of every script stay.
    odd = lambda sign: unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or _UNWANTED.match(sign)
    plain = "".join("_" if odd(sign) else sign for sign in stem).strip(" .-_")
    short = plain.encode()[:100].decode(errors="ignore").rstrip(" .") or "image"
    return f"{short}-{hashlib.sha256(link.encode()).hexdigest()[:8]}{extension}"


def _last(link):
    """The last part of a link's path."""
    try:
        return urllib.parse.unquote(urllib.parse.urlsplit(link).path).rpartition("/")[-1]
    except ValueError:
        return ""
