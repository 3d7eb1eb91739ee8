"""Pages of HTML from templates: each is one file that loads nothing and runs no script but one of its own."""

import base64
import functools
import hashlib
import pathlib
from typing import Any, NamedTuple

import jinja2

TEMPLATES = pathlib.Path(__file__).with_name("templates")
DISPLAY_SIDE = 96  # CSS pixels of a picture's longer side, about


class Figure(NamedTuple):
    """A picture as a page shows it: its data URI, its width in CSS pixels, and whether that enlarges it."""

    uri: str
    width: int
    enlarged: bool


class Script(NamedTuple):
    """A script of templates/ as a page holds it, and the digest by which browsers run it and no other."""

    text: str
    digest: str


def render(template: str, **values: Any) -> str:
    """Return the page that a file of templates/ makes of values, which are escaped where they hold HTML."""
    return _environment().get_template(template).render(**values)


def figure(uri: str, height: int, width: int) -> Figure:
    """Return the Figure of a picture [height, width] whose longer side is about DISPLAY_SIDE.

    Small pictures are enlarged by a whole number, because their pixels would differ in size otherwise.
    """
    longer = max(height, width)
    if longer < 2 * DISPLAY_SIDE:
        display_width = width * max(1, round(DISPLAY_SIDE / longer))
    else:
        display_width = max(1, round(DISPLAY_SIDE * width / longer))
    return Figure(uri, display_width, width < display_width)


@functools.cache
def script(name: str) -> Script:
    """Return a script of templates/."""
    text = (TEMPLATES / name).read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text, f"sha256-{digest}")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,  # a value that nobody hands over is an error, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = "{:,}".format
    return environment
