"""Pictures by keywords from sources that permit it: python -m data_prep.search_images --keywords "logo" "logo circle".

Openverse and Wikimedia Commons are asked in turn, for each keyword in turn, until --num pictures are found
whose licence is among those asked for, as read here and not as promised by the search. The list has the
columns of wiki_spider's; with --target_path the pictures are downloaded too.
"""

import argparse
import contextlib
import itertools
import mimetypes
import re
import time
import urllib.parse

import httpx

from data_prep.web import crawl_policy, html_text, mediawiki, rate_limit
from data_prep.web.image_list import ImageListFile
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError

OPENVERSE = "https://api.openverse.org/v1/images/"
COMMONS = "https://commons.wikimedia.org/w/api.php"
SOURCES = ("openverse", "commons")
LICENCES = ("cc0", "pdm", "by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
FREE = "cc0,pdm,by,by-sa"  # those that let everyone change the pictures and sell what comes of it
_SIZE, _DEPTH = 20, 12  # pictures on a page of Openverse, pages of a search, for who has no key


def search(streams, num, licences, bar):
    """Rows from streams of rows in turn, without repetitions or other licences -> (at most num rows, rejects)."""
    rows, rejects, seen = [], [], set()
    for row in _in_turn(streams):
        keys = {urllib.parse.unquote(row["link"]), row["sha1"]} - {""}
        if keys & seen:
            continue
        seen |= keys
        if code(row["licence"]) in licences:
            rows.append(row)
            bar.update(len(rows))
        else:
            reason = f"its licence is {row['licence'] or 'not stated'}"
            rejects.append({"name": row["name"], "link": row["link"], "reason": reason})
        if len(rows) == num:
            break
    return rows, rejects


def _in_turn(streams):
    """One of each in turn, for as long as any has more."""
    streams = list(streams)
    while streams:
        for stream in list(streams):
            try:
                yield next(stream)
            except StopIteration:
                streams.remove(stream)


def openverse(ask, address, words, licences, **extra):
    """Rows that Openverse finds."""
    query = {"q": words, "license": ",".join(licences), "page_size": _SIZE, **extra}
    for number in range(1, _DEPTH + 1):
        reply = ask(address, {**query, "page": number})
        yield from (_row(found) for found in reply.get("results", ()) if found.get("url"))
        if number >= reply.get("page_count", 0):
            return


def commons(ask, address, words):
    """Rows that the search of a MediaWiki finds."""
    after, source = {}, urllib.parse.urlsplit(address).netloc
    while after is not None:
        page = mediawiki.parse_page(ask(address, {**mediawiki.search_query(words), **after}), source)
        yield from page.rows
        after = page.after if page.after != after else None


def _row(found):
    """A result of Openverse -> a row of items.csv."""
    text = lambda key: html_text.html_to_text(str(found.get(key) or ""))
    kind, name = text("filetype").lower(), text("title") or text("id")
    mime = mimetypes.guess_type(f"a.{kind}")[0] or "" if kind else ""
    named = not kind or mimetypes.guess_type(name)[0] == mime
    return {
        "name": name if named else f"{name}.{kind}",
        "link": found["url"],
        "page": found.get("foreign_landing_url") or "",
        "mime": mime,
        "width": found.get("width") or "",
        "height": found.get("height") or "",
        "bytes": found.get("filesize") or "",
        "sha1": "",
        "licence": _short(text("license").lower(), text("license_version")),
        "licence_url": found.get("license_url") or "",
        "author": text("creator"),
        "source": text("provider"),
    }


def _short(licence, version):
    """Openverse's code of a licence -> its short name, as Commons writes it."""
    name = {"cc0": "CC0", "pdm": "Public domain"}.get(licence, f"CC {licence.upper()}")
    return f"{name} {version}" if version and licence != "pdm" else name


def code(short):
    """The code in LICENCES of a licence's short name, as CC BY-SA 3.0 de; "" if it is none of them."""
    words = re.findall(r"[a-z0-9]+", short.lower())
    if words[:2] == ["public", "domain"]:
        return "pdm"
    if words[:1] == ["cc0"] or words[:2] == ["cc", "0"]:
        return "cc0"
    terms = list(itertools.takewhile(lambda word: word in ("by", "nc", "sa", "nd"), words[1:]))
    found = "-".join(terms) if words[:1] == ["cc"] else ""
    return found if found in LICENCES else ""


def asking(client, say):
    """A function (address, parameters) -> JSON, which waits and asks again while the server is busy."""

    def ask(address, parameters):
        for tried in itertools.count(1):
            try:
                response = client.get(address, params=parameters)
                wait = response.headers.get("Retry-After")
                return rate_limit.parse_reply(response.status_code, wait, response.content, address)
            except rate_limit.ServerBusy as error:
                busy = error
            except httpx.TransportError as error:
                busy = rate_limit.ServerBusy(f"{address} cannot be reached ({type(error).__name__})")
            pause = rate_limit.retry_delay(busy, tried)
            say(f"{busy}: asking again in {pause:.0f} s")
            time.sleep(pause)

    return ask


def find(filename, keywords, *, num, licences, sources, contact, openverse_api, commons_api):
    """Write the list of what keywords find -> the line of totals."""
    crawl_policy.check_url("--openverse_api", openverse_api)
    crawl_policy.check_url("--commons_api", commons_api)
    question = {"keywords": keywords, "num": num, "licences": licences, "sources": sources}
    kept = ImageListFile(filename, question)
    rows = kept.pages[-1].rows if kept.pages else []
    if kept.check_existing(rows):
        return kept.write(rows, [])
    # What Commons tells of its files is more than what Openverse knows of them.
    extra = {"excluded_source": "wikimedia"} if "commons" in sources else {}
    headers = {"User-Agent": crawl_policy.user_agent(contact, f"httpx/{httpx.__version__}")}
    with contextlib.ExitStack() as stack:
        client = httpx.Client(headers=headers, timeout=60, follow_redirects=True)
        bar = stack.enter_context(progress.Bar("search", num))
        ask = asking(stack.enter_context(client), bar.say)
        streams = {
            "openverse": lambda words: openverse(ask, openverse_api, words, licences, **extra),
            "commons": lambda words: commons(ask, commons_api, words),
        }
        rows, rejects = search([streams[source](words) for words in keywords for source in sources], num, licences, bar)
        if len(rows) < num:
            bar.say(f"The sources have no more than {len(rows)} of {num} pictures for these words and licences.")
        if not rows:
            raise UserError(f"--keywords={' '.join(keywords)} found nothing under the licences {', '.join(licences)}")
        stack.enter_context(kept).append(mediawiki.Page(rows, [], None))
    return kept.write(rows, rejects)


def _listed(text, allowed, flag):
    """The values of a flag that takes several, separated by commas."""
    values = list(dict.fromkeys(value.strip().lower() for value in text.split(",") if value.strip()))
    for value in values or [text]:
        if value not in allowed:
            raise UserError(f"{flag}={text}: {value!r} is not one of {', '.join(allowed)}")
    return values


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.search_images", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--keywords", nargs="+", required=True, metavar="WORDS", help='what to search for, as "logo" "logo circle"')
    add("--num", type=int, default=200, help="pictures to list in all (default 200)")
    add("--licence", default=FREE, help=f"licences, separated by commas, of {', '.join(LICENCES)} (default {FREE})")
    add("--sources", default=",".join(SOURCES), help=f"where to search (default {','.join(SOURCES)})")
    add("-f", "--filename", default="items.csv", help="list to write (default items.csv)")
    add("--target_path", help="folder or bucket to download the pictures into (default: they are listed only)")
    add("--contact", default="", help="e-mail address or page at which the sources can reach you")
    add("--openverse_api", default=OPENVERSE, help=f"address of Openverse's image search (default {OPENVERSE})")
    add("--commons_api", default=COMMONS, help=f"address of a MediaWiki's api.php (default {COMMONS})")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        if args.num < 1:
            raise UserError(f"--num={args.num} should be at least 1")
        sources = _listed(args.sources, SOURCES, "--sources")
        if "commons" in sources:
            crawl_policy.ask_for_contact(args.contact, args.commons_api)
        print(find(
            args.filename, args.keywords, num=args.num, licences=_listed(args.licence, LICENCES, "--licence"),
            sources=sources, contact=args.contact,
            openverse_api=args.openverse_api, commons_api=args.commons_api,
        ))  # fmt: skip
        if args.target_path:
            from data_prep import download_images  # only who downloads needs it

            print(download_images.download(args.filename, args.target_path, contact=args.contact))


if __name__ == "__main__":
    main()
