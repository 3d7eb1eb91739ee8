"""SVG drawings from untrusted bytes, drawn at a given size.

Nothing that an SVG refers to is read or fetched, and no script runs. An SVG that needs something outside itself
would be drawn wrong, so it is refused. So is one that is made to exhaust its reader.
"""

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import resvg_py
from PIL import Image

from data_prep.pictures import svg_check, svg_styles, svg_text, svg_words

MAX_ASPECT = 50.0
_DPI = 96  # resvg-py's default is none, which makes sizes in millimetres zero
_LENGTH = re.compile(r"\s*([\d.]+(?:e[+-]?\d+)?)\s*(px|pt|pc|mm|cm|in)?\s*", re.IGNORECASE)
_PIXELS = {None: 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": _DPI / 25.4, "cm": _DPI / 2.54, "in": _DPI}


class Drawing(NamedTuple):
    """The text of a harmless SVG, its width over its height, or None if it does not state them, and its words."""

    text: str
    aspect: float | None
    words: str = ""


def read(data: bytes) -> Drawing:
    """Decode and check the bytes of an SVG; ValueError says what is wrong with it."""
    return check(svg_text.decode(data))


def check(text: str) -> Drawing:
    """Check an SVG; ValueError if it is broken, hostile, or needs something outside itself."""
    contents = svg_check.scan(text)
    aspect = _aspect(contents.root)
    if aspect and not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        raise ValueError(f"its sides are more than {MAX_ASPECT:g} to 1")
    return Drawing(svg_styles.inline(text) if contents.is_styled else text, aspect, contents.words)


def render(drawing: Drawing, side: int, width: int = 0, *, longer: bool = False, engine: str = "resvg") -> Image.Image:
    """Draw an SVG as RGBA, transparent where nothing is drawn; its shorter (or longer) side gets `side` pixels.

    With a `width`, it covers (or, if `longer`, lies within) a box of `side` x `width` pixels without a rest. resvg
    draws clips, masks and gradients right and needs no system library; "cairosvg" (extra "prep") is for comparison.
    If words can be seen, they are in the font of svg_words, and the `info` of the image has the key "words".
    """
    draw = ENGINES[engine]
    width = width or side
    aspect = drawing.aspect
    if aspect is not None:
        # One side sets the scale; the other follows from the drawing.
        if _width_sets_scale(aspect, width / side, longer):
            return draw(drawing, width=width)
        return draw(drawing, height=side)
    drawn = draw(drawing, width=width)
    if _width_sets_scale(drawn.width / drawn.height, width / side, longer):
        return drawn
    return draw(drawing, height=side)


def _width_sets_scale(aspect: float, box: float, longer: bool) -> bool:
    """Whether a drawing's width, not its height, equals that of a box; both are given as width over height."""
    return (aspect >= box) == longer or aspect == box


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


def _resvg(drawing: Drawing, **size: Any) -> Image.Image:
    image = _resvg_in_font(drawing.text, {}, size)
    if not drawing.words:
        return image
    with_words = _resvg_in_font(drawing.text, svg_words.FONT, size)
    if with_words.tobytes() == image.tobytes():  # words may be hidden
        return image
    svg_words.check_characters(drawing.words)
    with_words.info["words"] = True
    return with_words


def _resvg_in_font(text: str, font: dict[str, Any], size: dict[str, Any]) -> Image.Image:
    """Draw an SVG with the words in one font, or, if `font` is empty, without the words."""
    try:
        png = resvg_py.svg_to_bytes(svg_string=text, dpi=_DPI, skip_system_fonts=True, **font, **size)
    except ValueError as error:
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _cairosvg(drawing: Drawing, **size: int) -> Image.Image:
    import cairosvg  # an optional package, which the default engine does not need

    if drawing.words:
        raise ValueError("has words, which cairosvg draws in the fonts of this machine: use the default engine")
    output_size: dict[str, Any] = {f"output_{side}": pixels for side, pixels in size.items()}
    try:
        png = cairosvg.svg2png(bytestring=drawing.text.encode(), **output_size)
    except Exception as error:  # its parsers raise errors of any kind
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(png or b"")).convert("RGBA")


ENGINES: dict[str, Callable[..., Image.Image]] = {"resvg": _resvg, "cairosvg": _cairosvg}
