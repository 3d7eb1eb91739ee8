"""The API of a MediaWiki: queries for files, and their replies as rows of items.csv."""

from typing import Any, NamedTuple

from data_prep.web.html_text import html_to_text

Query = dict[str, str]

_COMMON: Query = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5"}
_FILE_DETAILS: Query = {
    "prop": "imageinfo",
    "iiprop": "url|size|mime|sha1|canonicaltitle|extmetadata",
    "iiextmetadatafilter": "LicenseShortName|LicenseUrl|Artist",
}


class Page(NamedTuple):
    """One reply of the API.

    `rows` are rows of items.csv, `lacking` are titles of pages without a file, `after` is the continuation that
    the next query should hold (None: there is no more). The journal of a list keeps the fields by these names.
    """

    rows: list[dict[str, Any]]
    lacking: list[str]
    after: Query | None


def full_title(category: str) -> str:
    """Return the full title of a category; its name can lack the prefix and have underscores for spaces."""
    return (category if ":" in category else f"Category:{category}").replace("_", " ")


def category_query(category: str) -> Query:
    """Return the query whether a category exists, and how many files it should hold."""
    return {**_COMMON, "titles": category, "prop": "categoryinfo"}


def members_query(category: str) -> Query:
    """Return the first query for the files of a category."""
    return {
        **_COMMON, **_FILE_DETAILS, "generator": "categorymembers", "gcmtitle": category, "gcmtype": "file",
        "gcmlimit": "max",
    }  # fmt: skip


def search_query(words: str) -> Query:
    """Return the first query for the images that words find."""
    search = f"{words} filetype:bitmap|drawing"
    return {
        **_COMMON, **_FILE_DETAILS, "generator": "search", "gsrnamespace": "6", "gsrsearch": search, "gsrlimit": "50",
    }  # fmt: skip


def parse_page(reply: dict[str, Any], source: str) -> Page:
    """Return a reply as a Page, in the order of the search if it answers one; `source` is the host of the wiki.

    A reply that would be too large gives the details of some files and only the titles of the others, whose
    details come in later replies. So a page lacks its file only where the reply says so.
    """
    entries = sorted(reply.get("query", {}).get("pages", ()), key=lambda entry: entry.get("index", 0))
    rows = [(entry, parse_row(entry, source)) for entry in entries]
    lacking = [entry["title"] for entry, row in rows if not row and _has_details(entry)]
    return Page([row for _, row in rows if row], lacking, reply.get("continue"))


def _has_details(entry: dict[str, Any]) -> bool:
    """Return whether a reply tells whether a page has a file."""
    return bool(entry.get("missing") or entry.get("imageinfo") or entry.get("imagerepository") == "")


def parse_row(entry: dict[str, Any], source: str) -> dict[str, Any] | None:
    """Return one page of a reply as a row of items.csv; None if it has no file or a hidden one."""
    info = next(iter(entry.get("imageinfo") or ()), {})
    if not info.get("url"):
        return None
    metadata = info.get("extmetadata") or {}  # PHP writes an empty table as []
    text = lambda key: html_to_text(str(metadata.get(key, {}).get("value", "")))
    return {
        # A redirect has the details of the file that it leads to, which the canonical title names.
        "name": info.get("canonicaltitle", entry["title"]).partition(":")[2],
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
