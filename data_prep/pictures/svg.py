"""Drawings in SVG: read without trust, drawn at a given size.

Nothing that an SVG refers to is read or fetched, and no script runs. One that needs something from
outside itself would be drawn wrong, so it is refused, as is one made to exhaust its reader.
"""

import base64
import contextlib
import gzip
import io
import re
import urllib.parse
import zlib
from typing import NamedTuple
from xml.parsers import expat

import resvg_py
from PIL import Image

from data_prep.pictures import rasters

MAX_TEXT = 32 << 20  # bytes
MAX_ASPECT = 50.0
_DPI = 96  # resvg-py's own default is none, which makes sizes in millimetres zero
# Elements whose href is loaded or drawn; <a> and metadata may name what they like.
_LOADS = {"image", "use", "feImage", "tref", "pattern", "linearGradient", "radialGradient", "filter", "textPath"}
_LENGTH = re.compile(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*(px|pt|pc|mm|cm|in)?\s*", re.IGNORECASE)
_PIXELS = {None: 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": _DPI / 25.4, "cm": _DPI / 2.54, "in": _DPI}


class Drawing(NamedTuple):
    """The text of an SVG that was found harmless, and its width over its height (None if it does not say)."""

    text: str
    aspect: float | None


def looks_like(data):
    """Whether bytes are those of an SVG, perhaps gzipped, whatever their file is called."""
    return data[:2] == b"\x1f\x8b" or b"<svg" in data[:4096].replace(b"\0", b"") or data.lstrip()[:5] == b"<?xml"


def read(data):
    """Bytes of an SVG -> Drawing; what is broken or hostile is a ValueError that says how."""
    return check(_text(data))


def check(text):
    """SVG text -> Drawing; what is broken, hostile, or in need of something outside itself is a ValueError."""
    roots, parser = [], expat.ParserCreate()

    def start(name, attributes):
        if not roots:
            if name.rpartition(":")[2] != "svg":
                raise ValueError(f"not an SVG: its root is <{name}>")
            roots.append(attributes)
        if name.rpartition(":")[2] in _LOADS:
            for key, value in attributes.items():
                if key.rpartition(":")[2] == "href":
                    _check_reference(value.strip())

    def entity(name, _is_parameter, _value, _base, system, public, _notation):
        if system or public:
            raise ValueError(f"declares the external entity {name!r} ({system or public})")

    parser.StartElementHandler, parser.EntityDeclHandler = start, entity
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"not a readable SVG: {error}") from None
    aspect = _aspect(roots[0])
    if aspect and not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        raise ValueError(f"its sides are more than {MAX_ASPECT:g} to 1")
    return Drawing(text, aspect)


def render(drawing, side, width=0, *, longer=False, engine="resvg"):
    """Drawing -> RGBA image whose shorter (or longer) side is `side` pixels, transparent where nothing is drawn.

    With a `width` it just covers (or lies within) a box that is `side` high and `width` wide. resvg gets
    clips, masks and gradients right and needs no system library; "cairosvg" is there to compare (extra "prep").
    """
    draw, aspect, width = ENGINES[engine], drawing.aspect, width or side
    by_width = lambda: (aspect >= width / side) == longer or aspect == width / side
    if aspect is None:
        first = draw(drawing.text, width=width)
        aspect = first.width / first.height
        if by_width():
            return first
    # The side that sets the scale; the other follows from the drawing.
    return draw(drawing.text, **({"width": width} if by_width() else {"height": side}))


def _text(data):
    """SVG bytes, gzipped or not, in any encoding that they declare -> text."""
    if data[:2] == b"\x1f\x8b":
        with contextlib.closing(gzip.GzipFile(fileobj=io.BytesIO(data))) as stream:
            try:
                data = stream.read(MAX_TEXT + 1)
            except (EOFError, zlib.error) as error:
                raise ValueError(f"not a readable SVG: {error}") from None
    if len(data) > MAX_TEXT:
        raise ValueError(f"more than {MAX_TEXT >> 20} MiB of SVG")
    declared = re.match(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)""", data[:200])
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    encoding = "utf-16" if wide else declared.group(1).decode() if declared else "utf-8"
    try:
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"not a readable SVG: {error}") from None


def _check_reference(value):
    if not value or value.startswith("#"):
        return
    if not value.lower().startswith("data:"):
        raise ValueError(f"refers to {value[:80]!r}, which is outside itself")
    head, _, body = value.partition(",")
    body = urllib.parse.unquote_to_bytes(body)
    raw = base64.b64decode(b"".join(body.split())) if head.lower().endswith("base64") else body
    if looks_like(raw):
        check(_text(raw))
        return
    try:
        rasters.header(raw)
    except rasters.TOO_LARGE:
        raise ValueError(f"holds a picture of more than {Image.MAX_IMAGE_PIXELS:,} pixels") from None


def _aspect(root):
    """Width over height from the root's attributes, or None."""
    sides = [_LENGTH.fullmatch(root.get(name, "")) for name in ("width", "height")]
    if all(sides):
        width, height = (float(side.group(1)) * _PIXELS[side.group(2) and side.group(2).lower()] for side in sides)
    else:
        box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
        if len(box) != 4 or any(root.get(name, "100%").strip() != "100%" for name in ("width", "height")):
            return None
        try:
            width, height = float(box[2]), float(box[3])
        except ValueError:
            return None
    return width / height if width > 0 and height > 0 else None


def _resvg(text, **size):
    try:
        png = resvg_py.svg_to_bytes(svg_string=text, dpi=_DPI, **size)
    except ValueError as error:
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _cairosvg(text, **size):
    import cairosvg  # an extra, which the default engine does without

    outer = {f"output_{side}": pixels for side, pixels in size.items()}
    try:
        png = cairosvg.svg2png(bytestring=text.encode(), **outer)
    except Exception as error:  # its parsers raise what they like
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(png)).convert("RGBA")


ENGINES = {"resvg": _resvg, "cairosvg": _cairosvg}
