"""Whether an SVG is harmless and holds all that it needs, found by one walk through its text."""

import base64
import re
import urllib.parse
from typing import NamedTuple
from xml.parsers import expat

from PIL import Image

from data_prep.pictures import rasters, svg_references, svg_styles, svg_text

_SVG = ("", "http://www.w3.org/2000/svg")  # without a name space it is drawn, too
_HTML = "http://www.w3.org/1999/xhtml"
_XLINK = ("", "http://www.w3.org/1999/xlink")
_XINCLUDE = "http://www.w3.org/2001/XInclude"
_HTML_ADDRESSES = {"href", "src", "srcset", "poster", "data"}
_PICTURES = {"image", "feImage"}  # elements that draw pictures inside of the SVG
_DRAWN_PICTURES = {"GIF", "JPEG", "MPO", "PNG", "WEBP"}  # formats of these
_NOT_DRAWN = {"metadata", "title", "desc", "foreignObject"}
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;)([^\W\d][\w.:-]*);")


class Contents(NamedTuple):
    """What an SVG holds: the attributes of its root, all of its words, and whether svg_styles.inline is needed."""

    root: dict[str, str]
    words: str
    is_styled: bool


def scan(text: str) -> Contents:
    """Walk through an SVG; ValueError if it is broken, hostile, or needs something outside itself."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    walk = _Walk()
    parser.StartElementHandler = walk.start_element
    parser.EndElementHandler = walk.end_element
    parser.CharacterDataHandler = walk.add_text
    parser.EntityDeclHandler = walk.declare_entity
    parser.ProcessingInstructionHandler = svg_references.check_instruction
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"not a readable SVG: {error}") from None
    if walk.is_styled and "<!DOCTYPE" in text:
        # A document that names an external DTD may use entities that only that declares.
        for name in set(_ENTITY.findall(text)) - walk.entities:
            raise ValueError(f"uses the entity {name!r}, which it does not declare")
    return Contents(walk.root or {}, "".join(walk.words), walk.is_styled)


class _Walk:
    """The handlers of the parser, and what they have found."""

    def __init__(self) -> None:
        self.root: dict[str, str] | None = None
        self.words: list[str] = []
        self.is_styled = False
        self.entities: set[str] = set()
        self._open: list[str] = []  # local names of the elements that are not closed yet
        self._css: list[str] = []  # of the style element that is open

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        if self.root is None:
            if local != "svg":
                raise ValueError(f"not an SVG: its root is <{local}>")
            self.root = attributes
        self._check_foreign()
        is_drawn = _NOT_DRAWN.isdisjoint(self._open)
        self._open.append(local)
        if is_drawn and space in _SVG:
            self._check_attributes(local, attributes)
        elif is_drawn and space in (_HTML, _XINCLUDE) and local != "a":
            for address in _HTML_ADDRESSES & attributes.keys():
                svg_references.check_address(attributes[address])

    def end_element(self, _: str) -> None:
        if self._open.pop() == "style":
            css = "".join(self._css)
            svg_references.check_style_sheet(css)
            self.is_styled = self.is_styled or bool(css.strip())
            self._css.clear()

    def add_text(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self._css.append(data)
        elif data.strip():
            self._check_foreign()
            if "text" in self._open and _NOT_DRAWN.isdisjoint(self._open):
                self.words.append(data)

    def declare_entity(self, name, _is_parameter, _value, _base, system, public, _notation) -> None:
        if system or public:
            raise ValueError(f"declares the external entity {name!r} ({system or public})")
        self.entities.add(name)

    def _check_foreign(self) -> None:
        """Refuse content of another kind, which is not drawn, unless a <switch> offers something in its place."""
        if "foreignObject" in self._open and "switch" not in self._open:
            raise ValueError("holds a <foreignObject>, such as text in HTML, which is not drawn")

    def _check_attributes(self, element: str, attributes: dict[str, str]) -> None:
        for key, value in attributes.items():
            space, _, name = key.rpartition(" ")
            if name == "href" and space in _XLINK:
                if element in _PICTURES and value.strip().lower().startswith("data:"):
                    self._check_picture(value.strip())
                elif element != "a":
                    svg_references.check_address(value)
            elif not space and svg_styles.holds_css(name):
                svg_references.check_value(name, value)
                self.is_styled = self.is_styled or svg_styles.needs_inlining(name, value)

    def _check_picture(self, address: str) -> None:
        """Raise ValueError unless the picture in a data address is harmless and will be drawn."""
        head, _, body = address.partition(",")
        data = urllib.parse.unquote_to_bytes(body)
        if head.lower().endswith("base64"):
            try:
                data = base64.b64decode(b"".join(data.split()))
            except ValueError as error:
                raise ValueError(f"holds a picture that cannot be read: {error}") from None
        if svg_text.looks_like_svg(data):
            inner = scan(svg_text.decode(data))
            if inner.words.strip() or inner.is_styled:
                raise ValueError("holds a drawing with words or style sheets of its own, which are not drawn")
            return
        try:
            picture = rasters.header(data)
        except rasters.TOO_LARGE:
            raise ValueError(f"holds a picture of more than {Image.MAX_IMAGE_PIXELS:,} pixels") from None
        except ValueError as error:
            raise ValueError(f"holds a picture that cannot be read: {error}") from None
        if picture.format not in _DRAWN_PICTURES:
            raise ValueError(f"holds a picture in {picture.format}, which is not drawn in an SVG")
