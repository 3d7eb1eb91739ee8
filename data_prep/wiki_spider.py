"""The files of a Wikimedia Commons category: python -m data_prep.wiki_spider --filename=items.csv.

Every reply of the API is kept beside the list with the question that comes next, so that a run that
was killed goes on where it stopped. As a Scrapy spider it writes any format, but begins anew each time:

    scrapy runspider data_prep/wiki_spider.py -O items.csv -a category=Category:Unidentified_logos

It asks for one thing at a time and waits when told to. robots.txt is obeyed, with one exception:
Wikimedia closes the path of its APIs to crawlers there, while its Robot policy has rules for clients of
these APIs; they are followed instead (--robots=strict stays out, --robots=ignore asks no server).
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import urllib.parse

import scrapy
import scrapy.crawler
from scrapy import signals
from scrapy.exceptions import IgnoreRequest

from data_prep.web import crawl_policy, items_csv, mediawiki, rate_limit
from data_prep.web.image_list import ImageList, ImageListFile
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError

CATEGORY = "Category:Unidentified_logos"
API = "https://commons.wikimedia.org/w/api.php"
_SLOW, _REST = 1.0, 5.0  # Wikimedia's Robot policy: after an answer that took over a second, pause for five
_REDIRECTS = (301, 302, 303, 307, 308)


class WikiSpider(scrapy.Spider):
    """Rows of items.csv for the files of a category.

    `found` is what earlier runs found; every page and the number of files to expect go to `keep` as they
    come, and what the user should know to `say`. What ends the crawl early is left in `error`.
    """

    name = "wiki_spider"
    custom_settings = {  # noqa: RUF012 - Scrapy's way
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
        self, category=CATEGORY, api=API, limit=None, robots="api", contact="", found=None, keep=None, say=None
    ):
        super().__init__()
        self.category, self.api, self.robots = title(category), api, robots
        self.limit = int(limit) if limit else None
        self.found = ImageList() if found is None else found
        self.keep, self.say = keep or (lambda page, total: None), say or self.logger.info
        self.error, self._category = None, None

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        """Sign all requests, those for robots.txt too."""
        signature = crawl_policy.user_agent(kwargs.get("contact"), f"Scrapy/{scrapy.__version__}")
        crawler.settings.set("USER_AGENT", signature, priority="spider")
        return super().from_crawler(crawler, *args, **kwargs)

    async def start(self):
        """The first question."""
        yield self._request(mediawiki.category_query(self.category), "counted")

    def _request(self, query, then):
        # Scrapy's own retries come at once; these wait. Redirects are Scrapy's.
        meta = {
            "dont_retry": True,
            "dont_obey_robotstxt": not crawl_policy.obeys_robots(self.robots, self.api),
            "handle_httpstatus_list": [status for status in range(300, 600) if status not in _REDIRECTS],
        }
        return scrapy.Request(
            f"{self.api}?{urllib.parse.urlencode(query)}", self.receive, errback=self.failed, meta=meta,
            cb_kwargs={"then": then, "tried": 1}, dont_filter=True,
        )  # fmt: skip

    async def receive(self, response, then, tried):
        """An answer: what it says goes to the method `then`, unless the server asks for patience."""
        try:
            wait = response.headers.get("Retry-After", b"").decode("latin-1")
            reply = rate_limit.parse_reply(response.status, wait, response.body, self.api)
            results = getattr(self, then)(reply)
        except rate_limit.ServerBusy as busy:
            results = await self._later(response.request, busy)
        except UserError as error:
            results = self._stop(error)
        else:
            more = results and isinstance(results[-1], scrapy.Request)
            if more and response.meta.get("download_latency", 0) > _SLOW:
                await asyncio.sleep(_REST)
        for result in results:
            yield result

    async def failed(self, failure):
        """No answer: robots.txt forbids the question, or the server cannot be reached."""
        request, why = failure.request, str(failure.value)
        if failure.check(IgnoreRequest):
            path, host = urllib.parse.urlsplit(self.api).path, urllib.parse.urlsplit(request.url).netloc
            robots = f"{host}/robots.txt closes {path} to crawlers: if its owner lets you in, add --robots=ignore"
            results = self._stop(UserError(robots if "robots.txt" in why else f"{self.api}: {why}"))
        else:
            busy = rate_limit.ServerBusy(f"{self.api} cannot be reached ({failure.type.__name__})")
            results = await self._later(request, busy)
        for result in results:
            yield result

    async def _later(self, request, busy):
        tried = request.cb_kwargs["tried"]
        try:
            wait = rate_limit.retry_delay(busy, tried)
        except UserError as error:
            return self._stop(error)
        self.say(f"{busy}: asking again in {wait:.0f} s")
        await asyncio.sleep(wait)
        return [request.replace(cb_kwargs={**request.cb_kwargs, "tried": tried + 1})]

    def _stop(self, error):
        self.error = error
        self.logger.error(error)
        return []

    def counted(self, reply):
        """What the wiki says of the category -> the first question for its files."""
        self._category = reply["query"]["pages"][0]
        return [self._request({**mediawiki.members_query(self.category), **self.found.after}, "listed")]

    def listed(self, reply):
        """A part of the list -> its rows that are new, and the next question."""
        page, before = mediawiki.parse_page(reply, urllib.parse.urlsplit(self.api).netloc), self.found.after
        if page.after == before:
            raise UserError(f"{self.api} repeats itself: asked to continue at {before}, it says the same again")
        room = None if self.limit is None else self.limit - len(self.found.rows)
        results = self.found.add(page)[:room]
        if self.found.after is None and not self.found.rows:
            raise UserError(self._nothing())
        self.keep(page, self._category.get("categoryinfo", {}).get("files", 0))
        if self.found.is_complete(self.limit):
            return results
        return [*results, self._request({**mediawiki.members_query(self.category), **page.after}, "listed")]

    def _nothing(self):
        if "categoryinfo" not in self._category:
            return f"--category={self.category} is not there at {self.api}: check its name"
        inner = self._category["categoryinfo"].get("subcats", 0)
        return f"--category={self.category} holds no files but {inner} categories: name one that holds files"


def title(category):
    """The full title of a category that was named with or without its prefix, in spaces or underscores."""
    return (category if ":" in category else f"Category:{category}").replace("_", " ")


def crawl(filename, *, category, api, limit, robots, contact):
    """List the files of a category in a CSV file, going on where an earlier run stopped -> the line of totals."""
    kept = ImageListFile(filename, {"category": title(category), "api": crawl_policy.check_url("--api", api)})
    found = ImageList(kept.pages)
    kept.check_existing(found.rows.values())
    if not found.is_complete(limit):
        with kept:
            _run(kept, found, category=category, api=api, limit=limit, robots=robots, contact=contact)
    return kept.write(list(found.rows.values())[:limit], found.rejects)


def _run(kept, found, limit, **arguments):
    """Crawl to the end of the list or to the limit."""
    failures, bars = [], []
    with contextlib.ExitStack() as stack:

        def keep(page, total):
            kept.append(page)
            if not bars:
                bars.append(stack.enter_context(progress.Bar("list", min(limit or total, total), unit="files")))
            bars[0].update(min(limit or len(found.rows), len(found.rows)))

        say = lambda line: bars[0].say(line) if bars else print(line, file=sys.stderr, flush=True)
        process = scrapy.crawler.CrawlerProcess({"LOG_ENABLED": False})
        crawler = process.create_crawler(WikiSpider)
        crawler.signals.connect(lambda failure: failures.append(failure.value), signals.spider_error, weak=False)
        process.crawl(crawler, limit=limit, found=found, keep=keep, say=say, **arguments)
        stack.enter_context(_stoppable())
        process.start(install_signal_handlers=False)
    for failure in [*failures, crawler.spider.error]:
        if failure:
            raise failure


@contextlib.contextmanager
def _stoppable():
    """Ctrl-C and SIGTERM end the crawl at once, as all that came is kept; Scrapy would wait for the last answer."""
    from twisted.internet import reactor  # only now has Scrapy installed the one that it wants

    numbers = []

    def stop(number, _):
        numbers.append(number)
        reactor.callFromThread(reactor.crash)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    if numbers:
        reactor.getThreadPool().stop()
        raise KeyboardInterrupt(numbers[0])


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.wiki_spider", description=__doc__.splitlines()[0])
    parser.add_argument("--category", default=CATEGORY, help=f"category whose files to list (default {CATEGORY})")
    parser.add_argument("-f", "--filename", default="items.csv", help="list to write (default items.csv)")
    parser.add_argument("--api", default=API, help=f"address of the wiki's api.php (default {API})")
    parser.add_argument("--limit", type=int, help="stop after so many files (default: all)")
    parser.add_argument("--contact", default="", help="e-mail address or page at which a wiki can reach you")
    parser.add_argument(
        "--robots", choices=crawl_policy.ROBOTS, default="api",
        help="api: robots.txt decides, but at Wikimedia its rules for API clients (default); "
        "strict: robots.txt decides everywhere; ignore: robots.txt is not asked",
    )  # fmt: skip
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        crawl_policy.ask_for_contact(args.contact, args.api)
        if args.limit is not None and args.limit < 1:
            raise UserError(f"--limit={args.limit} should be at least 1")
        print(crawl(
            args.filename, category=args.category, api=args.api, limit=args.limit, robots=args.robots,
            contact=args.contact,
        ))  # fmt: skip


if __name__ == "__main__":
    main()
