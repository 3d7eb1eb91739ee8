"""The visible text of a piece of HTML."""

import html.parser

_HIDDEN_TAGS = ("script", "style")
_VOID_TAGS = (
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
)  # fmt: skip
_INLINE_TAGS = (
    "a", "abbr", "b", "bdi", "bdo", "big", "code", "em", "i", "s", "small", "span", "strong", "sub", "sup", "u",
)  # fmt: skip


def html_to_text(markup: str) -> str:
    """Return the text that HTML shows, on one line."""
    parser = _VisibleText()
    parser.feed(markup)
    parser.close()
    return " ".join("".join(parser.parts).split())


class _VisibleText(html.parser.HTMLParser):
    """Collects visible text, without scripts, styles and elements that are not displayed."""

    def __init__(self):
        super().__init__()
        self.parts: list[str] = []
        self._hidden_tag: str | None = None  # the outermost hidden element
        self._depth = 0  # of elements with that tag inside one another

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden_tag:
            self._depth += tag == self._hidden_tag
            return
        style = (dict(attrs).get("style") or "").replace(" ", "").lower()
        if tag in _HIDDEN_TAGS or ("display:none" in style and tag not in _VOID_TAGS):
            self._hidden_tag = tag
            self._depth = 1
        elif tag not in _INLINE_TAGS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden_tag:
            self._depth -= tag == self._hidden_tag
            self._hidden_tag = self._hidden_tag if self._depth else None
        elif tag not in _INLINE_TAGS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden_tag:
            self.parts.append(data)
