"""Pictures by keywords, with open licences: python -m data_prep.search_images --keywords "logo" "logo circle".

It asks Openverse and Wikimedia Commons in turn, for each keyword in turn, until it has --num pictures with one of
the requested licences. It reads the licence of every result itself and does not rely on the search. The list has the
columns of wiki_spider's list. With --target_path the pictures are downloaded too.
"""

import argparse
import contextlib
import itertools
import mimetypes
import re
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import httpx

from data_prep.web import crawl_policy, mediawiki, rate_limit
from data_prep.web.html_text import html_to_text
from data_prep.web.image_list import ImageListFile, Row
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError

T = TypeVar("T")
AskApi = Callable[[str, dict[str, Any]], dict[str, Any]]  # (address, parameters) -> JSON

OPENVERSE = "https://api.openverse.org/v1/images/"
COMMONS = "https://commons.wikimedia.org/w/api.php"
SOURCES = ("openverse", "commons")
LICENCES = ("cc0", "pdm", "by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
FREE_LICENCES = "cc0,pdm,by,by-sa"  # these permit changes and sale
# Openverse's limits for clients without a key.
_PAGE_SIZE = 20
_MAX_PAGES = 12


def select(
    streams: Iterable[Iterator[Row]], num: int, licences: Collection[str], bar: progress.Bar
) -> tuple[list[Row], list[dict[str, str]]]:
    """Take rows from the streams in turn, without repetitions.

    Returns:
        At most `num` rows with one of the licences, and the rejected rows with their reasons.
    """
    rows: list[Row] = []
    rejects: list[dict[str, str]] = []
    seen: set[str] = set()
    for row in _round_robin(streams):
        keys = {urllib.parse.unquote(row["link"]), row["sha1"]} - {""}
        if keys & seen:
            continue
        seen |= keys
        if licence_code(row["licence"]) in licences:
            rows.append(row)
            bar.update(len(rows))
        else:
            reason = f"its licence is {row['licence'] or 'not stated'}"
            rejects.append({"name": row["name"], "link": row["link"], "reason": reason})
        if len(rows) == num:
            break
    return rows, rejects


def _round_robin(streams: Iterable[Iterator[T]]) -> Iterator[T]:
    """Yield one item of each stream in turn, until all are at their end."""
    streams = list(streams)
    while streams:
        for stream in list(streams):
            try:
                yield next(stream)
            except StopIteration:
                streams.remove(stream)


def search_openverse(ask: AskApi, address: str, words: str, licences: Iterable[str], **extra: str) -> Iterator[Row]:
    """Yield the rows that Openverse finds; `extra` are more parameters of the query."""
    query = {"q": words, "license": ",".join(licences), "page_size": _PAGE_SIZE, **extra}
    for number in range(1, _MAX_PAGES + 1):
        reply = ask(address, {**query, "page": number})
        yield from (_parse_openverse(result) for result in reply.get("results", ()) if result.get("url"))
        if number >= reply.get("page_count", 0):
            return


def search_commons(ask: AskApi, address: str, words: str) -> Iterator[Row]:
    """Yield the rows that the search of a MediaWiki finds."""
    source = urllib.parse.urlsplit(address).netloc
    after: mediawiki.Query | None = {}
    while after is not None:
        page = mediawiki.parse_page(ask(address, {**mediawiki.search_query(words), **after}), source)
        yield from page.rows
        after = page.after if page.after != after else None


def _parse_openverse(result: dict[str, Any]) -> Row:
    """Return a result of Openverse as a row of items.csv."""
    text = lambda key: html_to_text(str(result.get(key) or ""))
    extension = text("filetype").lower()
    name = text("title") or text("id")
    mime = (mimetypes.guess_type(f"a.{extension}")[0] or "") if extension else ""
    has_extension = not extension or mimetypes.guess_type(name)[0] == mime
    return {
        "name": name if has_extension else f"{name}.{extension}",
        "link": result["url"],
        "page": result.get("foreign_landing_url") or "",
        "mime": mime,
        "width": result.get("width") or "",
        "height": result.get("height") or "",
        "bytes": result.get("filesize") or "",
        "sha1": "",
        "licence": _licence_name(text("license").lower(), text("license_version")),
        "licence_url": result.get("license_url") or "",
        "author": text("creator"),
        "source": text("provider"),
    }


def _licence_name(code: str, version: str) -> str:
    """Return the short name of a licence, as Commons writes it, from Openverse's code."""
    name = {"cc0": "CC0", "pdm": "Public domain"}.get(code, f"CC {code.upper()}")
    return f"{name} {version}" if version and code != "pdm" else name


def licence_code(name: str) -> str:
    """Return the code in LICENCES of a licence's short name, such as CC BY-SA 3.0 de; "" for any other licence."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    if words[:2] == ["public", "domain"]:
        return "pdm"
    if words[:1] == ["cc0"] or words[:2] == ["cc", "0"]:
        return "cc0"
    terms = list(itertools.takewhile(lambda word: word in ("by", "nc", "sa", "nd"), words[1:]))
    code = "-".join(terms) if words[:1] == ["cc"] else ""
    return code if code in LICENCES else ""


def with_retries(client: httpx.Client, say: Callable[[str], None]) -> AskApi:
    """Return a function (address, parameters) -> JSON that waits and asks again while the server is busy."""

    def ask(address: str, parameters: dict[str, Any]) -> dict[str, Any]:
        for attempts in itertools.count(1):
            try:
                response = client.get(address, params=parameters)
                retry_after = response.headers.get("Retry-After")
                return rate_limit.parse_reply(response.status_code, retry_after, response.content, address)
            except rate_limit.ServerBusy as error:
                busy = error
            except httpx.TransportError as error:
                busy = rate_limit.ServerBusy(f"{address} cannot be reached ({type(error).__name__})")
            delay = rate_limit.retry_delay(busy, attempts)
            say(f"{busy}: asking again in {delay:.0f} s")
            time.sleep(delay)
        raise AssertionError  # the count has no end

    return ask


def write_list(
    filename: str, keywords: list[str], *, num: int, licences: list[str], sources: list[str], contact: str,
    openverse_api: str, commons_api: str,
) -> str:  # fmt: skip
    """Write the list of what keywords find, and return the line of totals."""
    crawl_policy.check_url("--openverse_api", openverse_api)
    crawl_policy.check_url("--commons_api", commons_api)
    list_file = ImageListFile(
        filename, {"keywords": keywords, "num": num, "licences": licences, "sources": sources}
    )  # fmt: skip
    rows = list_file.pages[-1].rows if list_file.pages else []
    if list_file.check_existing(rows):
        return list_file.write(rows, [])
    # Commons itself says more about its files than Openverse does.
    extra = {"excluded_source": "wikimedia"} if "commons" in sources else {}
    headers = {"User-Agent": crawl_policy.user_agent(contact, f"httpx/{httpx.__version__}")}
    with contextlib.ExitStack() as stack:
        client = httpx.Client(headers=headers, timeout=60, follow_redirects=True)
        bar = stack.enter_context(progress.Bar("search", num))
        ask = with_retries(stack.enter_context(client), bar.say)
        search = {
            "openverse": lambda words: search_openverse(ask, openverse_api, words, licences, **extra),
            "commons": lambda words: search_commons(ask, commons_api, words),
        }
        streams = [search[source](words) for words in keywords for source in sources]
        rows, rejects = select(streams, num, licences, bar)
        if len(rows) < num:
            bar.say(f"The sources have no more than {len(rows)} of {num} pictures for these words and licences.")
        if not rows:
            raise UserError(f"--keywords={' '.join(keywords)} found nothing under the licences {', '.join(licences)}")
        stack.enter_context(list_file).append(mediawiki.Page(rows, [], None))
    return list_file.write(rows, rejects)


def _parse_choices(text: str, allowed: Collection[str], flag: str) -> list[str]:
    """Return the values of a flag that takes several, separated by commas; UserError if one is not allowed."""
    values = list(dict.fromkeys(value.strip().lower() for value in text.split(",") if value.strip()))
    for value in values or [text]:
        if value not in allowed:
            raise UserError(f"{flag}={text}: {value!r} is not one of {', '.join(allowed)}")
    return values


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m data_prep.search_images", description=description)
    add = parser.add_argument
    add("--keywords", nargs="+", required=True, metavar="WORDS", help='what to search for, as "logo" "logo circle"')
    add("--num", type=int, default=200, help="number of pictures to list, of all keywords together (default 200)")
    licences = ", ".join(LICENCES)
    add(
        "--licence",
        default=FREE_LICENCES,
        help=f"licences, separated by commas, of {licences} (default {FREE_LICENCES})",
    )
    add("--sources", default=",".join(SOURCES), help=f"where to search (default {','.join(SOURCES)})")
    add("-f", "--filename", default="items.csv", help="list to write (default items.csv)")
    add("--target_path", help="folder or bucket to download the pictures into (default: only list them)")
    add("--contact", default="", help="e-mail address or page at which the sources can reach you")
    add("--openverse_api", default=OPENVERSE, help=f"address of Openverse's image search (default {OPENVERSE})")
    add("--commons_api", default=COMMONS, help=f"address of a MediaWiki's api.php (default {COMMONS})")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = _parse_args(argv)
    with errors.exit_on_error():
        if args.num < 1:
            raise UserError(f"--num={args.num} should be at least 1")
        sources = _parse_choices(args.sources, SOURCES, "--sources")
        if "commons" in sources:
            crawl_policy.ask_for_contact(args.contact, args.commons_api)
        print(write_list(
            args.filename, args.keywords, num=args.num,
            licences=_parse_choices(args.licence, LICENCES, "--licence"), sources=sources, contact=args.contact,
            openverse_api=args.openverse_api, commons_api=args.commons_api,
        ))  # fmt: skip
        if args.target_path:
            from data_prep import download_images  # imported only where it is needed, to start quickly

            print(download_images.download(args.filename, args.target_path, contact=args.contact))


if __name__ == "__main__":
    main()
