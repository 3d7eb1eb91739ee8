"""SVG drawings from untrusted bytes, drawn at a given size.

Nothing that an SVG refers to is read or fetched, and no script runs. An SVG that needs something outside itself
would be drawn wrong, so it is refused. So is one that is made to exhaust its reader.
"""

import base64
import io
import re
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.parsers import expat

import resvg_py
from PIL import Image

from data_prep.pictures import rasters, svg_text

MAX_ASPECT = 50.0
_DPI = 96  # resvg-py's default is none, which makes sizes in millimetres zero
# Elements whose href is loaded or drawn; <a> and metadata may refer to anything.
_LOADING_ELEMENTS = {
    "image",
    "use",
    "feImage",
    "tref",
    "pattern",
    "linearGradient",
    "radialGradient",
    "filter",
    "textPath",
}
_LENGTH = re.compile(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*(px|pt|pc|mm|cm|in)?\s*", re.IGNORECASE)
_PIXELS = {None: 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": _DPI / 25.4, "cm": _DPI / 2.54, "in": _DPI}


class Drawing(NamedTuple):
    """The text of a harmless SVG, and its width over its height, or None if it does not state them."""

    text: str
    aspect: float | None


def read(data: bytes) -> Drawing:
    """Decode and check the bytes of an SVG; ValueError says what is wrong with it."""
    return check(svg_text.decode(data))


def check(text: str) -> Drawing:
    """Check an SVG; ValueError if it is broken, hostile, or needs something outside itself."""
    roots: list[dict[str, str]] = []
    parser = expat.ParserCreate()

    def start_element(name: str, attributes: dict[str, str]) -> None:
        if not roots:
            if name.rpartition(":")[2] != "svg":
                raise ValueError(f"not an SVG: its root is <{name}>")
            roots.append(attributes)
        if name.rpartition(":")[2] in _LOADING_ELEMENTS:
            for key, value in attributes.items():
                if key.rpartition(":")[2] == "href":
                    _check_reference(value.strip())

    def entity_declaration(name, _is_parameter, _value, _base, system, public, _notation) -> None:
        if system or public:
            raise ValueError(f"declares the external entity {name!r} ({system or public})")

    parser.StartElementHandler = start_element
    parser.EntityDeclHandler = entity_declaration
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"not a readable SVG: {error}") from None
    aspect = _aspect(roots[0])
    if aspect and not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        raise ValueError(f"its sides are more than {MAX_ASPECT:g} to 1")
    return Drawing(text, aspect)


def render(drawing: Drawing, side: int, width: int = 0, *, longer: bool = False, engine: str = "resvg") -> Image.Image:
    """Draw an SVG as RGBA, transparent where nothing is drawn; its shorter (or longer) side gets `side` pixels.

    With a `width`, it covers (or, if `longer`, lies within) a box of `side` x `width` pixels without a rest. resvg
    draws clips, masks and gradients right and needs no system library; "cairosvg" (extra "prep") is for comparison.
    """
    draw = ENGINES[engine]
    width = width or side
    aspect = drawing.aspect
    if aspect is not None:
        # One side sets the scale; the other follows from the drawing.
        if _width_sets_scale(aspect, width / side, longer):
            return draw(drawing.text, width=width)
        return draw(drawing.text, height=side)
    drawn = draw(drawing.text, width=width)
    if _width_sets_scale(drawn.width / drawn.height, width / side, longer):
        return drawn
    return draw(drawing.text, height=side)


def _width_sets_scale(aspect: float, box: float, longer: bool) -> bool:
    """Whether a drawing's width, not its height, equals that of a box; both are given as width over height."""
    return (aspect >= box) == longer or aspect == box


def _check_reference(value: str) -> None:
    """Raise ValueError unless an href points into the same SVG or to harmless data in itself."""
    if not value or value.startswith("#"):
        return
    if not value.lower().startswith("data:"):
        raise ValueError(f"refers to {value[:80]!r}, which is outside itself")
    head, _, body = value.partition(",")
    body = urllib.parse.unquote_to_bytes(body)
    raw = base64.b64decode(b"".join(body.split())) if head.lower().endswith("base64") else body
    if svg_text.looks_like_svg(raw):
        check(svg_text.decode(raw))
        return
    try:
        rasters.header(raw)
    except rasters.TOO_LARGE:
        raise ValueError(f"holds a picture of more than {Image.MAX_IMAGE_PIXELS:,} pixels") from None


def _aspect(root: dict[str, str]) -> float | None:
    """Width over height by the attributes of the root element, or None if they do not state it."""
    sides = [length for name in ("width", "height") if (length := _LENGTH.fullmatch(root.get(name, "")))]
    if len(sides) == 2:
        width, height = (float(side.group(1)) * _PIXELS[side.group(2) and side.group(2).lower()] for side in sides)
    else:
        box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
        if len(box) != 4 or any(root.get(name, "100%").strip() != "100%" for name in ("width", "height")):
            return None
        try:
            width = float(box[2])
            height = float(box[3])
        except ValueError:
            return None
    return width / height if width > 0 and height > 0 else None


def _resvg(text: str, **size: Any) -> Image.Image:
    try:
        png = resvg_py.svg_to_bytes(svg_string=text, dpi=_DPI, **size)
    except ValueError as error:
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _cairosvg(text: str, **size: int) -> Image.Image:
    import cairosvg  # an optional package, which the default engine does not need

    output_size: dict[str, Any] = {f"output_{side}": pixels for side, pixels in size.items()}
    try:
        png = cairosvg.svg2png(bytestring=text.encode(), **output_size)
    except Exception as error:  # its parsers raise errors of any kind
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(png or b"")).convert("RGBA")


ENGINES: dict[str, Callable[..., Image.Image]] = {"resvg": _resvg, "cairosvg": _cairosvg}
