"""Names of downloaded files."""

import hashlib
import pathlib
import re
import unicodedata

from data_prep.web import image_format

# Separators of paths, characters that Windows forbids, the end of an address, marks of the direction of text.
_FORBIDDEN = re.compile(r'[/\\:*?"<>|#\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_MAX_BYTES = 100  # of the readable part, so that the whole name fits into every file system


def file_name(name: str, link: str, extension: str) -> str:
    """Return a readable file name such as logo-1a2b3c4d.png that depends on the row alone.

    A digest of the link keeps the names of different links apart.
    """
    text = unicodedata.normalize("NFC", name)
    path = pathlib.PurePosixPath(text)
    stem = text[: -len(path.suffix)] if path.suffix.lower() in image_format.EXTENSIONS else text
    plain = "".join("_" if _is_forbidden(character) else character for character in stem).strip(" .-_")
    short = plain.encode()[:_MAX_BYTES].decode(errors="ignore").rstrip(" .") or "image"
    return f"{short}-{hashlib.sha256(link.encode()).hexdigest()[:8]}{extension}"


def _is_forbidden(character: str) -> bool:
    # Controls, surrogates and ends of lines. Letters of every script stay.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or bool(_FORBIDDEN.match(character))
