"""The one font that the words of SVGs are drawn in, so that they are the same on every machine.

It is DejaVu Sans 2.37 without hints and without rare scripts; its licence lies beside it.
"""

import functools
import pathlib
import unicodedata
from typing import Any

_FAMILY = "DejaVu Sans"
_FILE = pathlib.Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_KINDS = ("font_family", "serif_family", "sans_serif_family", "cursive_family", "fantasy_family", "monospace_family")
# Keyword arguments of resvg that draw all words in that font, whatever fonts they ask for.
FONT: dict[str, Any] = {"font_files": [str(_FILE)], **dict.fromkeys(_KINDS, _FAMILY)}


def check_characters(words: str) -> None:
    """Raise ValueError if the font lacks a character of some words."""
    known = _characters()
    for character in words:
        # What has no shape of its own may be missing: spaces, ends of lines, marks of direction.
        if ord(character) not in known and unicodedata.category(character)[0] not in "CZ":
            raise ValueError(
                f"has words with {character!r}, which the bundled font ({_FAMILY}) lacks: turn its text into paths"
            )


@functools.cache
def _characters() -> frozenset[int]:
    """Unicode numbers of the characters that the font has."""
    from fontTools import ttLib  # takes a fifth of a second, and few drawings have words

    with ttLib.TTFont(_FILE, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())
