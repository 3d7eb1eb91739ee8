"""What an SVG refers to: nothing of it may lie outside of the SVG, which would be drawn wrong without it."""

import re
from collections.abc import Iterator
from typing import Any

import tinycss2

_MAY_MATTER = re.compile(r"(?i)url|src|image|import|\\")  # what a value or style sheet with an address contains
_TAKE_STRINGS = {"url", "src", "image", "image-set", "-webkit-image-set", "cross-fade", "-webkit-cross-fade"}
# Properties and at-rules without effect on what is drawn, which may refer to data of their own.
_NOT_DRAWN = {"cursor", "src", "background", "background-image", "list-style", "list-style-image", "content"}


def check_address(address: str) -> None:
    """Raise ValueError unless an address points into the same SVG."""
    address = address.strip()
    if address.lower().startswith("data:"):
        raise ValueError(f"refers to {address[:40]!r}, of which only pictures are drawn")
    if address and not address.startswith("#"):
        raise ValueError(f"refers to {address[:80]!r}, which is outside itself")


def check_value(name: str, value: str) -> None:
    """Raise ValueError if the value of an attribute, by its local name, refers to something outside of the SVG."""
    if not _MAY_MATTER.search(value):
        return
    if name == "style":
        _check_declarations(tinycss2.parse_blocks_contents(value))
    else:
        _check_tokens(name, tinycss2.parse_component_value_list(value))


def check_style_sheet(css: str) -> None:
    """Raise ValueError if a style sheet refers to something outside of the SVG."""
    if _MAY_MATTER.search(css):
        _check_declarations(tinycss2.parse_stylesheet(css))


def check_instruction(target: str, content: str) -> None:
    """Raise ValueError if a processing instruction asks for a style sheet outside of the SVG."""
    if target.lower() != "xml-stylesheet":
        return
    address = re.search(r"""\bhref\s*=\s*(["'])(.*?)\1""", content, re.DOTALL)
    check_address(address.group(2) if address else "")


def _check_declarations(parsed: list[Any]) -> None:
    """Check declarations and rules, and those within them."""
    for part in parsed:
        if part.type == "declaration":
            _check_tokens(part.lower_name, part.value)
        elif part.type == "qualified-rule":
            _check_declarations(tinycss2.parse_blocks_contents(part.content))
        elif part.type == "at-rule":
            _check_at_rule(part)


def _check_at_rule(rule: Any) -> None:
    if rule.lower_at_keyword == "namespace":
        return  # its address is a name
    if rule.lower_at_keyword == "import":
        address = next(_addresses([*rule.prelude], strings=True), "")
        raise ValueError(f"imports the style sheet {address[:80]!r}, which is outside itself")
    _check_tokens(rule.lower_at_keyword, rule.prelude)
    _check_declarations(tinycss2.parse_blocks_contents(rule.content or []))


def _check_tokens(name: str, tokens: list[Any]) -> None:
    for address in _addresses(tokens):
        if not (name in _NOT_DRAWN and address.strip().lower().startswith("data:")):
            check_address(address)


def _addresses(tokens: list[Any], strings: bool = False) -> Iterator[str]:
    """The addresses in some tokens and in what they contain; with `strings`, strings are addresses too."""
    pending = [(token, strings) for token in reversed(tokens)]
    while pending:
        token, strings = pending.pop()
        if token.type == "url" or (strings and token.type == "string"):
            yield token.value
        elif token.type == "function":
            named = token.lower_name in _TAKE_STRINGS
            pending += [(inner, strings or named) for inner in reversed(token.arguments)]
        elif hasattr(token, "content") and not isinstance(token.content, str):
            pending += [(inner, strings) for inner in reversed(token.content or [])]
