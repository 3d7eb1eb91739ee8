"""The files of a Wikimedia Commons category: python -m data_prep.wiki_spider --filename=items.csv.

Every reply of the API is kept in a journal beside the list, so that a run that was killed goes on where it stopped.
As a Scrapy spider it writes any format, but starts from the beginning each time:

    scrapy runspider data_prep/wiki_spider.py -O items.csv -a category=Category:Unidentified_logos

It sends one request at a time and waits when a server asks for it. It obeys robots.txt, with one exception:
Wikimedia closes its APIs to crawlers there, but has a separate Robot policy for API clients, which the spider follows
instead. With --robots=strict robots.txt decides at Wikimedia too; with --robots=ignore it is never read.
"""

import argparse
import asyncio
import contextlib
import sys
import urllib.parse
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

import scrapy
import scrapy.crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from twisted.python.failure import Failure

from data_prep.web import crawl_policy, items_csv, mediawiki, rate_limit
from data_prep.web.image_list import ImageList, ImageListFile
from data_prep.web.mediawiki import Page, Query
from data_prep.web.run_spider import run_spider
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError

Result = dict[str, Any] | scrapy.Request  # a row of items.csv, or what to ask next

CATEGORY = "Category:Unidentified_logos"
API = "https://commons.wikimedia.org/w/api.php"
# Wikimedia's Robot policy: after a reply that took longer than a second, pause for five seconds.
_SLOW_REPLY = 1.0
_PAUSE = 5.0
_REDIRECT_STATUSES = (301, 302, 303, 307, 308)


class WikiSpider(scrapy.Spider):
    """Yields rows of items.csv for the files of a category.

    `images` are those that earlier runs listed. Each page is given to `on_page` together with the number of files to
    expect, and messages for the user to `say`. If the crawl ends early, the reason is in `error`.
    """

    name = "wiki_spider"
    custom_settings = {  # noqa: RUF012 - Scrapy wants a class attribute
        "FEED_EXPORT_FIELDS": items_csv.COLUMNS,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": 1,
        "DOWNLOAD_DELAY": 0.25,
        "RANDOMIZE_DOWNLOAD_DELAY": False,
        "DOWNLOAD_TIMEOUT": 120,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
    }

    def __init__(
        self,
        category: str = CATEGORY,
        api: str = API,
        limit: int | str | None = None,  # text if Scrapy's command line gives it
        robots: str = "api",
        contact: str = "",
        images: ImageList | None = None,
        on_page: Callable[[Page, int], None] | None = None,
        say: Callable[[str], None] | None = None,
    ):
        super().__init__()
        self.category = mediawiki.full_title(category)
        self.api = api
        self.robots = robots
        self.limit = int(limit) if limit else None
        self.images = ImageList() if images is None else images
        self.on_page = on_page or (lambda page, total: None)
        self.say = say or self.logger.info
        self.error: UserError | None = None
        self._category_info: dict[str, Any] | None = None  # None: the category does not exist

    @classmethod
    def from_crawler(cls, crawler: scrapy.crawler.Crawler, *args: Any, **kwargs: Any) -> Self:
        """Set the User-Agent of all requests, also of those for robots.txt."""
        user_agent = crawl_policy.user_agent(kwargs.get("contact"), f"Scrapy/{scrapy.__version__}")
        crawler.settings.set("USER_AGENT", user_agent, priority="spider")
        return super().from_crawler(crawler, *args, **kwargs)

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Yield the first request."""
        yield self._request(mediawiki.category_query(self.category), "parse_category")

    def _request(self, query: Query, handler: str) -> scrapy.Request:
        # Scrapy's own retries come without a pause; those of this spider wait. Redirects are left to Scrapy.
        meta = {
            "dont_retry": True,
            "dont_obey_robotstxt": not crawl_policy.obeys_robots(self.robots, self.api),
            "handle_httpstatus_list": [status for status in range(300, 600) if status not in _REDIRECT_STATUSES],
        }
        return scrapy.Request(
            f"{self.api}?{urllib.parse.urlencode(query)}", self.handle_reply, errback=self.handle_failure, meta=meta,
            cb_kwargs={"handler": handler, "attempts": 1}, dont_filter=True,
        )  # fmt: skip

    async def handle_reply(self, response: Response, handler: str, attempts: int) -> AsyncIterator[Result]:
        """Give the reply to the method `handler`, or ask again later if the server is busy."""
        try:
            retry_after = (response.headers.get("Retry-After") or b"").decode("latin-1")
            reply = rate_limit.parse_reply(response.status, retry_after, response.body, self.api)
            results = getattr(self, handler)(reply)
        except rate_limit.ServerBusy as busy:
            assert response.request is not None  # Scrapy sets it
            results = await self._retry(response.request, busy)
        except UserError as error:
            results = self._stop(error)
        else:
            has_next = results and isinstance(results[-1], scrapy.Request)
            if has_next and response.meta.get("download_latency", 0) > _SLOW_REPLY:
                await asyncio.sleep(_PAUSE)
        for result in results:
            yield result

    async def handle_failure(self, failure: Failure) -> AsyncIterator[Result]:
        """Stop if robots.txt forbids the request; ask again later if the server cannot be reached."""
        request: scrapy.Request = failure.request  # pyright: ignore[reportAttributeAccessIssue] - Scrapy adds it
        reason = str(failure.value)
        if failure.check(IgnoreRequest):
            path, host = urllib.parse.urlsplit(self.api).path, urllib.parse.urlsplit(request.url).netloc
            closed = f"{host}/robots.txt closes {path} to crawlers: if its owner permits it, add --robots=ignore"
            results = self._stop(UserError(closed if "robots.txt" in reason else f"{self.api}: {reason}"))
        else:
            error_name = getattr(failure.type, "__name__", failure.type)
            busy = rate_limit.ServerBusy(f"{self.api} cannot be reached ({error_name})")
            results = await self._retry(request, busy)
        for result in results:
            yield result

    async def _retry(self, request: scrapy.Request, busy: rate_limit.ServerBusy) -> list[Result]:
        attempts = request.cb_kwargs["attempts"]
        try:
            delay = rate_limit.retry_delay(busy, attempts)
        except UserError as error:
            return self._stop(error)
        self.say(f"{busy}: asking again in {delay:.0f} s")
        await asyncio.sleep(delay)
        return [request.replace(cb_kwargs={**request.cb_kwargs, "attempts": attempts + 1})]

    def _stop(self, error: UserError) -> list[Result]:
        self.error = error
        self.logger.error(error)
        return []

    def parse_category(self, reply: dict[str, Any]) -> list[Result]:
        """Note whether the category exists, and return the first request for its files."""
        self._category_info = reply["query"]["pages"][0].get("categoryinfo")
        return [self._request_files(self.images.after)]

    def parse_files(self, reply: dict[str, Any]) -> list[Result]:
        """Return the rows of a part of the list that are new, and the next request."""
        previous = self.images.after
        page = mediawiki.parse_page(reply, urllib.parse.urlsplit(self.api).netloc)
        if page.after == previous:
            raise UserError(f"{self.api} repeats itself: asked to continue at {previous}, it says the same again")
        room = None if self.limit is None else self.limit - len(self.images.rows)
        results: list[Result] = [*self.images.add(page)[:room]]
        if self.images.after is None and not self.images.rows:
            raise UserError(self._describe_empty())
        self.on_page(page, (self._category_info or {}).get("files", 0))
        if self.images.is_complete(self.limit):
            return results
        return [*results, self._request_files(page.after)]

    def _request_files(self, after: Query | None) -> scrapy.Request:
        return self._request({**mediawiki.members_query(self.category), **(after or {})}, "parse_files")

    def _describe_empty(self) -> str:
        if self._category_info is None:
            return f"--category={self.category} is not there at {self.api}: check its name"
        inner = self._category_info.get("subcats", 0)
        return f"--category={self.category} holds no files but {inner} categories: name one that holds files"


def crawl(filename: str, *, category: str, api: str, limit: int | None, robots: str, contact: str) -> str:
    """List the files of a category in a CSV file, from where an earlier run stopped, and return the line of totals."""
    query = {"category": mediawiki.full_title(category), "api": crawl_policy.check_url("--api", api)}
    list_file = ImageListFile(filename, query)
    images = ImageList(list_file.pages)
    list_file.check_existing(images.rows.values())
    if not images.is_complete(limit):
        with list_file:
            _run_spider(list_file, images, category=category, api=api, limit=limit, robots=robots, contact=contact)
    return list_file.write(list(images.rows.values())[:limit], images.rejects)


def _run_spider(list_file: ImageListFile, images: ImageList, limit: int | None, **arguments: str) -> None:
    """Crawl to the end of the list or to the limit."""
    bars: list[progress.Bar] = []  # one, as soon as the length of the list is known
    with contextlib.ExitStack() as stack:

        def on_page(page: Page, total: int) -> None:
            list_file.append(page)
            if not bars:
                bars.append(stack.enter_context(progress.Bar("list", min(limit or total, total), unit="files")))
            bars[0].update(min(limit or len(images.rows), len(images.rows)))

        say = lambda line: bars[0].say(line) if bars else print(line, file=sys.stderr, flush=True)
        spider = run_spider(WikiSpider, limit=limit, images=images, on_page=on_page, say=say, **arguments)
    if isinstance(spider, WikiSpider) and spider.error:
        raise spider.error


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m data_prep.wiki_spider", description=description)
    parser.add_argument("--category", default=CATEGORY, help=f"category whose files to list (default {CATEGORY})")
    parser.add_argument("-f", "--filename", default="items.csv", help="list to write (default items.csv)")
    parser.add_argument("--api", default=API, help=f"address of the wiki's api.php (default {API})")
    parser.add_argument("--limit", type=int, help="stop after this number of files (default: list all)")
    parser.add_argument("--contact", default="", help="e-mail address or page at which a wiki can reach you")
    parser.add_argument(
        "--robots", choices=crawl_policy.ROBOTS, default="api",
        help="api: robots.txt decides, but at Wikimedia its rules for API clients (default); "
        "strict: robots.txt decides everywhere; ignore: robots.txt is not read",
    )  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = _parse_args(argv)
    with errors.exit_on_error():
        crawl_policy.ask_for_contact(args.contact, args.api)
        if not args.category.isprintable():  # nor are bytes that are no text
            raise UserError(f"--category={args.category} should be the name of a category, in UTF-8")
        if args.limit is not None and args.limit < 1:
            raise UserError(f"--limit={args.limit} should be at least 1")
        print(crawl(
            args.filename, category=args.category, api=args.api, limit=args.limit, robots=args.robots,
            contact=args.contact,
        ))  # fmt: skip


if __name__ == "__main__":
    main()
