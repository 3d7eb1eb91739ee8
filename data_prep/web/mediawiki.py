"""The files of a MediaWiki, as its API tells of them."""

import csv
import html.parser
import io
from typing import NamedTuple

COLUMNS = (
    "name", "link", "page", "mime", "width", "height", "bytes", "sha1", "licence", "licence_url", "author", "source",
)  # fmt: skip
_QUERY = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5"}
_FILES = {
    "prop": "imageinfo",
    "iiprop": "url|size|mime|sha1|canonicaltitle|extmetadata",
    "iiextmetadatafilter": "LicenseShortName|LicenseUrl|Artist",
}
_UNSEEN = ("script", "style")
_VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
_INLINE = ("a", "abbr", "b", "bdi", "bdo", "big", "code", "em", "i", "s", "small", "span", "strong", "sub", "sup", "u")


class Page(NamedTuple):
    """One reply of the API: rows of items.csv, titles that had no file in it, and the continuation (None: the end)."""

    rows: list
    lacking: list
    after: dict | None


def about(category):
    """Parameters of the question whether a category exists, and how many files it should hold."""
    return {**_QUERY, "titles": category, "prop": "categoryinfo"}


def members(category):
    """Parameters of the first question for the files of a category."""
    return {
        **_QUERY, **_FILES, "generator": "categorymembers", "gcmtitle": category, "gcmtype": "file", "gcmlimit": "max",
    }  # fmt: skip


def found(words):
    """Parameters of the first question for the pictures that a search finds."""
    search = f"{words} filetype:bitmap|drawing"
    return {**_QUERY, **_FILES, "generator": "search", "gsrnamespace": "6", "gsrsearch": search, "gsrlimit": "50"}


def page(reply, source):
    """A reply -> Page, in the order of the search if it was one.

    A reply that would be large tells of some files and names the others, which later replies tell of:
    a page lacks its file only where the reply says so.
    """
    told = sorted(reply.get("query", {}).get("pages", ()), key=lambda each: each.get("index", 0))
    rows = [(each, row(each, source)) for each in told]
    lacking = [each["title"] for each, found in rows if not found and _settled(each)]
    return Page([found for _, found in rows if found], lacking, reply.get("continue"))


def _settled(page):
    return bool(page.get("missing") or page.get("imageinfo") or page.get("imagerepository") == "")


def row(page, source):
    """What the API tells of a page -> a row of items.csv, or None if it has no file, or one that is hidden."""
    info = next(iter(page.get("imageinfo") or ()), {})
    if not info.get("url"):
        return None
    extra = info.get("extmetadata") or {}  # PHP writes an empty table as []
    text = lambda key: plain(str(extra.get(key, {}).get("value", "")))
    return {
        # A redirect tells of the file that it leads to, which the canonical title names.
        "name": info.get("canonicaltitle", page["title"]).partition(":")[2],
        "link": info["url"],
        "page": info.get("descriptionurl", ""),
        "mime": info.get("mime", ""),
        "width": info.get("width", ""),
        "height": info.get("height", ""),
        "bytes": info.get("size", ""),
        "sha1": info.get("sha1", ""),
        "licence": text("LicenseShortName"),
        "licence_url": text("LicenseUrl"),
        "author": text("Artist"),
        "source": source,
    }


def table(rows):
    """Rows -> the bytes of items.csv."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "replace")


def plain(markup):
    """The text that HTML shows, on one line."""
    reader = _Text()
    reader.feed(markup)
    reader.close()
    return " ".join("".join(reader.seen).split())


class _Text(html.parser.HTMLParser):
    """Gathers what is seen, leaving out scripts, styles and what is not displayed."""

    def __init__(self):
        super().__init__()
        self.seen, self._hidden, self._depth = [], None, 0

    def handle_starttag(self, tag, attributes):
        if self._hidden:
            self._depth += tag == self._hidden
            return
        style = (dict(attributes).get("style") or "").replace(" ", "").lower()
        if tag in _UNSEEN or ("display:none" in style and tag not in _VOID):
            self._hidden, self._depth = tag, 1
        elif tag not in _INLINE:
            self.seen.append(" ")

    def handle_endtag(self, tag):
        if self._hidden:
            self._depth -= tag == self._hidden
            self._hidden = self._hidden if self._depth else None
        elif tag not in _INLINE:
            self.seen.append(" ")

    def handle_data(self, data):
        if not self._hidden:
            self.seen.append(data)
