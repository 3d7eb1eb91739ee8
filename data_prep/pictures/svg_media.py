"""Whether a media query of CSS holds for a picture on a light screen."""

import re

_TYPES = {
    "all": True,
    "screen": True,
    "print": False,
    "speech": False,
    "aural": False,
    "tv": False,
    "projection": False,
}
_FEATURES = {
    ("prefers-color-scheme", "light"): True,
    ("prefers-color-scheme", "dark"): False,
    ("prefers-reduced-motion", "no-preference"): True,
    ("prefers-reduced-motion", "reduce"): False,
    ("prefers-contrast", "no-preference"): True,
    ("prefers-contrast", "more"): False,
    ("forced-colors", "none"): True,
    ("forced-colors", "active"): False,
}
_FEATURE = re.compile(r"\(\s*([\w-]+)\s*:\s*([\w-]+)\s*\)")


def holds(queries: str) -> bool:
    """Whether one of some media queries, separated by commas, holds; of none, True.

    Raises:
        ValueError: if that depends on something that a picture does not have, such as the width of a window.
    """
    found = [_query_holds(query.strip()) for query in re.sub(r"/\*.*?\*/", " ", queries.lower()).split(",")]
    return any(found)


def _query_holds(query: str) -> bool:
    negated = query.startswith("not ")
    parts = re.split(r"\s+and\s+", re.sub(r"^(?:not|only)\s+", "", query))
    return all(_part_holds(part.strip(), query) for part in parts) != negated


def _part_holds(part: str, query: str) -> bool:
    feature = _FEATURE.fullmatch(part)
    found = _FEATURES.get(feature.groups()) if feature else _TYPES.get(part or "all")  # pyright: ignore
    if found is None:
        raise ValueError(f"is styled by the media query {query[:80]!r}, on which its picture depends")
    return found
