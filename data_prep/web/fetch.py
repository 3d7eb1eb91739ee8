"""The bytes behind one link, with limits on the addresses, the size and the time.

Proxies, .netrc and certificates that the environment names are not used, so that every connection is
one that was checked.
"""

import asyncio
import contextlib
import hashlib
import random
import time
import weakref
import zlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import NamedTuple, Self

import httpcore
import httpx

from data_prep.web import crawl_policy, rate_limit
from data_prep.web.addresses import PublicNetwork
from data_prep.web.fetch_errors import PermanentError, TemporaryError
from data_prep.web.host_waits import HostWaits

MAX_PER_HOST = 4  # requests to one host at the same time
MAX_REDIRECTS = 5
_REDIRECT_STATUSES = {301, 302, 303, 307, 308}
_BUSY_STATUSES = {429, 503}
_JITTER = (0.5, 1.5)  # factors between which a pause is drawn, so that links that failed together part


class RetryPolicy(NamedTuple):
    """How long to wait for a link, in seconds, and how often to try."""

    connect: float = 10.0
    read: float = 20.0  # for the next piece of a body
    total: float = 300.0  # for one link, all attempts and redirects together, without the pauses
    max_attempts: int = 5
    first_pause: float = 1.0  # before the second attempt; then 2, 4, 8 ... times as long
    max_pause: float = 60.0  # if the server asks for none
    max_server_pause: float = rate_limit.MAX_SERVER_DELAY  # a server that asks for more is not asked again


DEFAULT_POLICY = RetryPolicy()


class Download(NamedTuple):
    """The bytes of a link, and the address that they came from after all redirects."""

    data: bytes
    url: str


class Fetcher:
    """Fetches links, at most MAX_PER_HOST at a time from each host; use as an async context manager.

    `trusted` are (host, port) pairs that may be private. `contact` tells servers how to reach the user. `waits` are the
    servers that asked for a pause.
    """

    def __init__(self, *, trusted: set[tuple[str, int]], max_bytes: int, policy: RetryPolicy, contact: str = ""):
        self._pool = httpcore.AsyncConnectionPool(
            httpcore.default_ssl_context(), network_backend=PublicNetwork(trusted), max_connections=None,
            max_keepalive_connections=20,
        )  # fmt: skip
        self._max_bytes = max_bytes
        self._policy = policy
        self.waits = HostWaits(policy.max_server_pause)
        user_agent = crawl_policy.user_agent(contact, f"httpcore/{httpcore.__version__}")
        self._headers = [("User-Agent", user_agent), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
        # Weak, so that a host's semaphore goes when no request waits for it.
        self._host_slots: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def fetch(self, link: str, sha1: str = "") -> Download:
        """Fetch a link, with new attempts while they can help, and compare its SHA-1 if one is given.

        Raises PermanentError or TemporaryError.
        """
        budget = _TimeBudget(self._policy.total)
        wrong_digests = set()
        attempt = 1
        while True:
            try:
                download = await self._follow_redirects(link, budget)
                digest = hashlib.sha1(download.data, usedforsecurity=False).hexdigest()
                if not sha1 or digest == sha1.lower():
                    return download
                # The same wrong bytes twice are the server's; different wrong bytes come from a bad transfer.
                reason = f"its SHA-1 is {digest} and should be {sha1}"
                failure = TemporaryError(reason, retry_now=digest not in wrong_digests)
                wrong_digests.add(digest)
            except TemporaryError as error:
                failure = error
            if not failure.retry_now or attempt == self._policy.max_attempts:
                raise failure
            backoff = self._policy.first_pause * 2 ** (attempt - 1) * random.uniform(*_JITTER)
            # The pause takes one of the host's slots, so that a host in trouble gets fewer requests.
            async with self._host_slot(_parse_url(link)):
                await asyncio.sleep(min(backoff, self._policy.max_pause))
            attempt += 1

    async def _follow_redirects(self, link: str, budget: "_TimeBudget") -> Download:
        url = _parse_url(link)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._host_slot(url):
                await self.waits.wait(_server(url))
                async with budget.spend():
                    result = await self._request(url)
            if isinstance(result, bytes):
                return Download(result, str(url))
            url = result
        raise PermanentError(f"more than {MAX_REDIRECTS} redirects, the last to {url}")

    async def _request(self, url: httpx.URL) -> bytes | httpx.URL:
        """Send one request and return the bytes of its body, or the URL that it redirects to."""
        policy = self._policy
        timeout = {"connect": policy.connect, "read": policy.read, "write": policy.read}
        request_headers = [("Host", url.netloc), *self._headers]
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        try:
            async with self._pool.stream(
                "GET", target, headers=request_headers, extensions={"timeout": timeout}
            ) as response:
                headers = httpx.Headers(response.headers)
                if response.status in _REDIRECT_STATUSES and "location" in headers:
                    return _parse_url(headers["location"], url)
                if response.status == 429 or response.status >= 500:
                    retry_after = rate_limit.parse_retry_after(headers.get("retry-after"))
                    refusal = self.waits.busy(_server(url), retry_after) if response.status in _BUSY_STATUSES else None
                    raise refusal or TemporaryError(f"HTTP {response.status}")
                self.waits.answered(_server(url))
                if response.status != 200:
                    raise PermanentError(f"HTTP {response.status}")
                return self._decompress(await self._read_body(response, headers), headers.get("content-encoding", ""))
        except httpcore.ConnectTimeout:
            raise TemporaryError(f"no connection in {policy.connect:g} s") from None
        except httpcore.TimeoutException:
            raise TemporaryError(f"nothing more came for {policy.read:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise TemporaryError(f"the connection failed: {error or type(error).__name__}") from None

    async def _read_body(self, response: httpcore.Response, headers: httpx.Headers) -> bytes:
        if int(headers.get("content-length", 0)) > self._max_bytes:
            raise self._too_large()
        data = bytearray()
        async for piece in response.aiter_stream():
            data += piece
            if len(data) > self._max_bytes:
                raise self._too_large()
        return bytes(data)

    def _decompress(self, data: bytes, coding: str) -> bytes:
        """Return the content of a body that the server compressed although the request forbade it.

        Never unpacks more than the limit, because a few bytes can hold gigabytes.
        """
        if coding.lower() in ("", "identity"):
            return data
        if coding.lower() not in ("gzip", "x-gzip", "deflate"):
            raise PermanentError(f"it was sent as {coding}, which was not asked for")
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            content = decompressor.decompress(data, self._max_bytes + 1)
        except zlib.error as error:
            raise TemporaryError(f"its compression is broken: {error}") from None
        if len(content) > self._max_bytes:
            raise self._too_large()
        if not decompressor.eof:
            raise TemporaryError("its compression is broken: the end is missing")
        return content

    def _too_large(self) -> PermanentError:
        return PermanentError(f"more than {self._max_bytes:,} bytes")

    @contextlib.asynccontextmanager
    async def _host_slot(self, url: httpx.URL) -> AsyncIterator[None]:
        """Hold one of the MAX_PER_HOST slots of a URL's host."""
        slots = self._host_slots.setdefault(_server(url), asyncio.Semaphore(MAX_PER_HOST))
        async with slots:
            yield


def _server(url: httpx.URL) -> str:
    """What a pause holds for: the host and, if it is not the usual one, the port."""
    return url.netloc.decode("ascii", "replace")


class _TimeBudget:
    """The seconds that one link can take, counted only during its requests."""

    def __init__(self, seconds: float):
        self._total = seconds
        self._left = seconds

    @contextlib.asynccontextmanager
    async def spend(self) -> AsyncIterator[None]:
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                yield
        except TimeoutError:
            raise TemporaryError(f"not done in {self._total:g} s", retry_now=False) from None
        finally:
            self._left -= time.monotonic() - start


def _parse_url(link: str, base: httpx.URL | None = None) -> httpx.URL:
    """Return a link, or a redirect of the URL `base`, as an http or https URL; PermanentError if it is none."""
    subject = "it leads to" if base else "this is"
    try:
        url = base.join(link) if base else httpx.URL(f"https:{link}" if link.startswith("//") else link)
    except (httpx.InvalidURL, ValueError) as error:
        raise PermanentError(f"{subject} no address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise PermanentError(f"{subject} {link[:200]!r}, not an http or https address")
    return url
