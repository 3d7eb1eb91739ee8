"""Whether bytes are an SVG, and its text."""

import contextlib
import gzip
import io
import re
import zlib
from xml.parsers import expat

MAX_BYTES = 32 << 20  # of text
_PIECE = 1 << 16  # bytes that the parser is given at a time, until it has found the first element
_GZIP = b"\x1f\x8b"
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
# What begins an XML document, of characters of one byte or of two.
_XML = re.compile(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*\0?<\0?[?!\w]")
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_SVG_TAG = re.compile(rb"<(?:[\w.-]+:)?svg\b")


def looks_like_svg(data: bytes) -> bool:
    """Whether bytes are an SVG, perhaps gzipped or broken, whatever the name of their file.

    What counts is the first element, however much stands before it. If none can be read because the text is damaged,
    it is a broken SVG if it has a tag <svg.
    """
    if data.startswith(_GZIP):
        data = _start_of_gzip(data)
        if not data.strip(b"\0 \t\r\n"):  # an SVG that is damaged, or made to unpack for ever
            return True
    name = root_name(data)
    if name or not _XML.match(data) or looks_like_html(data):
        return name.rpartition(":")[2] == "svg"
    return bool(_SVG_TAG.search(data.replace(b"\0", b"")))


def may_be_svg(start: bytes) -> bool:
    """Whether the file that begins with some bytes, a few thousand or all, has to be read to know if it is an SVG."""
    return start.startswith(_GZIP) or not start.strip() or bool(_XML.match(start))


def looks_like_html(data: bytes) -> bool:
    """Whether bytes begin as a web page does."""
    return bool(_HTML.match(data[:_PIECE]))


def root_name(data: bytes) -> str:
    """The name of the first element of an XML text, with its prefix; "" if the text is not XML up to there."""
    names: list[str] = []
    if not _XML.match(data):
        return ""
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: names.append(name)
    data = data.lstrip()
    pieces = [data[start : start + _PIECE] for start in range(0, len(data), _PIECE)]
    # What is damaged after the first element does not matter.
    with contextlib.suppress(expat.ExpatError, LookupError, ValueError):
        for piece in pieces:
            parser.Parse(piece, False)
            if names:
                return names[0]
        parser.Parse(b"", True)  # only now it looks at an element that it had only in part before
    return names[0] if names else ""


def decode(data: bytes) -> str:
    """The text of an SVG, gzipped or not, in whatever encoding it declares; ValueError says what is wrong with it."""
    if data.startswith(_GZIP):
        with contextlib.closing(gzip.GzipFile(fileobj=io.BytesIO(data))) as stream:
            try:
                data = stream.read(MAX_BYTES + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise ValueError(f"not a readable SVG: {error}") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES >> 20} MiB of SVG")
    declared = re.match(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)""", data[:200])
    encoding = declared.group(1).decode() if declared else "utf-8"
    encoding = _UTF16.get(data[:2], encoding)
    try:
        # Blank lines before the declaration are an error by the standard, and frequent.
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding).lstrip()
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"not a readable SVG: {error}") from None


def _start_of_gzip(data: bytes) -> bytes:
    """What a gzip file holds, up to MAX_BYTES; of a damaged one, what can be unpacked."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        return unpack.decompress(data, MAX_BYTES)
    except zlib.error:
        return b""
