"""The digests by which object stores know the content of an object."""

import base64
import hashlib
import os
import pathlib

PART = 16 << 20  # bytes of the parts in which large files are uploaded
_MOST_PARTS = 10_000  # that object stores take of one object


def part_size(path: pathlib.Path) -> int:
    """Return the size of the parts, in bytes, in which a file is uploaded."""
    return max(PART, -(-os.path.getsize(path) // _MOST_PARTS // PART) * PART)


def possible_etags(path: pathlib.Path) -> set[str]:
    """Return the ETags that a file may have: its MD5 in hexadecimal or base64, or the MD5 of its parts' MD5s."""
    whole = hashlib.md5(usedforsecurity=False)
    parts = []
    size = part_size(path)
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(size), b""):
            whole.update(part)
            parts.append(hashlib.md5(part, usedforsecurity=False).digest())
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return {whole.hexdigest(), base64.b64encode(whole.digest()).decode(), f"{joined}-{len(parts)}"}
