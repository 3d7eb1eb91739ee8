"""Running one Scrapy spider in this process, so that it can be stopped at once."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import scrapy
import scrapy.crawler
from scrapy import signals


def run_spider(spider_class: type[scrapy.Spider], **arguments: Any) -> scrapy.Spider | None:
    """Run a spider to its end and return it; an exception in one of its methods is raised here."""
    failures: list[BaseException] = []
    process = scrapy.crawler.CrawlerProcess({"LOG_ENABLED": False})
    crawler = process.create_crawler(spider_class)
    crawler.signals.connect(lambda failure: failures.append(failure.value), signals.spider_error, weak=False)
    process.crawl(crawler, **arguments)
    with _stop_at_once():
        process.start(install_signal_handlers=False)
    if failures:
        raise failures[0]
    return crawler.spider


@contextlib.contextmanager
def _stop_at_once() -> Iterator[None]:
    """End the crawl at once on Ctrl-C and SIGTERM; Scrapy itself would wait for the last reply."""
    from twisted.internet import reactor  # only now: Scrapy chooses which reactor it installs

    received: list[int] = []

    def stop(number: int, _: Any) -> None:
        received.append(number)
        reactor.callFromThread(reactor.crash)  # pyright: ignore[reportAttributeAccessIssue] - of its base class

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)
    if received:
        reactor.getThreadPool().stop()  # pyright: ignore[reportAttributeAccessIssue] - of its base class
        raise KeyboardInterrupt(received[0])
