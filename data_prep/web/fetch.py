"""The bytes behind one link: no private address, no endless body, no endless wait.

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
from typing import NamedTuple

import httpcore
import httpx

from data_prep.web import courtesy
from data_prep.web.addresses import Failed, Guard, Refused

PER_HOST = 4  # requests to one host at the same time
REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}


class Patience(NamedTuple):
    """How long to wait, in seconds, and how often to try."""

    connect: float = 10.0
    read: float = 20.0  # for the next piece of a body
    total: float = 300.0  # for one link, all tries and redirects together, but not the pauses
    tries: int = 5
    pause: float = 1.0  # before the second try; then 2, 4, 8 ... times as long
    longest: float = 60.0  # of all pauses, whatever a server asks for


PATIENCE = Patience()


class Fetched(NamedTuple):
    """The bytes, and the address that they came from in the end."""

    data: bytes
    url: str


class Fetcher:
    """Fetches links, a few at a time from each host; use as an async context manager."""

    def __init__(self, *, trusted, max_bytes, patience, contact=""):
        self._pool = httpcore.AsyncConnectionPool(
            httpcore.default_ssl_context(), network_backend=Guard(trusted), max_connections=None,
            max_keepalive_connections=20,
        )  # fmt: skip
        self._max_bytes, self._patience = max_bytes, patience
        agent = courtesy.agent(contact, f"httpcore/{httpcore.__version__}")
        self._headers = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._turns = weakref.WeakValueDictionary()  # a host is forgotten when nobody waits for it

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._pool.aclose()

    async def fetch(self, link, sha1=""):
        """The Fetched of a link, tried again while that may help; or Refused, or Failed."""
        budget, wrong = _Budget(self._patience.total), set()
        for number in range(1, self._patience.tries + 1):
            try:
                found = await self._follow(link, budget)
                digest = hashlib.sha1(found.data, usedforsecurity=False).hexdigest()
                if not sha1 or digest == sha1.lower():
                    return found
                # The same wrong bytes twice are what the server has; other ones were a bad transfer.
                reason = f"its SHA-1 is {digest} and should be {sha1}"
                failure = Failed(reason, again=digest not in wrong)
                wrong.add(digest)
            except Failed as error:
                failure = error
            if not failure.again or number == self._patience.tries:
                raise failure
            pause = failure.after or self._patience.pause * 2 ** (number - 1) * random.uniform(0.5, 1.5)
            # Who waits takes one of the host's turns, so that a host in trouble is asked less.
            async with self._turn(_parsed(link)):
                await asyncio.sleep(min(pause, self._patience.longest))

    async def _follow(self, link, budget):
        url = _parsed(link)
        for _ in range(REDIRECTS + 1):
            async with self._turn(url), budget.spend():
                answer = await self._visit(url)
            if isinstance(answer, bytes):
                return Fetched(answer, str(url))
            url = answer
        raise Refused(f"more than {REDIRECTS} redirects, the last to {url}")

    async def _visit(self, url):
        """One request: the body's bytes, or the URL that it leads to."""
        limits = self._patience
        timeout = {"connect": limits.connect, "read": limits.read, "write": limits.read}
        headers = {"Host": url.netloc, **self._headers}
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        try:
            async with self._pool.stream("GET", target, headers=headers, extensions={"timeout": timeout}) as response:
                answer = httpx.Headers(response.headers)
                if response.status in _MOVED and "location" in answer:
                    return _parsed(answer["location"], url)
                if response.status == 429 or response.status >= 500:
                    raise Failed(f"HTTP {response.status}", after=_retry_after(answer.get("retry-after", "")))
                if response.status != 200:
                    raise Refused(f"HTTP {response.status}")
                return self._decoded(await self._body(response, answer), answer.get("content-encoding", ""))
        except httpcore.ConnectTimeout:
            raise Failed(f"no connection in {limits.connect:g} s") from None
        except httpcore.TimeoutException:
            raise Failed(f"nothing more came for {limits.read:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise Failed(f"the connection failed: {error or type(error).__name__}") from None

    async def _body(self, response, headers):
        if int(headers.get("content-length", 0)) > self._max_bytes:
            raise Refused(self._too_large())
        data = bytearray()
        async for piece in response.aiter_stream():
            data += piece
            if len(data) > self._max_bytes:
                raise Refused(self._too_large())
        return bytes(data)

    def _decoded(self, data, coding):
        """What a server compressed though it was asked not to, never more of it than the limit."""
        if coding.lower() in ("", "identity"):
            return data
        if coding.lower() not in ("gzip", "x-gzip", "deflate"):
            raise Refused(f"it was sent as {coding}, which was not asked for")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            found = unpacker.decompress(data, self._max_bytes + 1)
        except zlib.error as error:
            raise Failed(f"its compression is broken: {error}") from None
        if len(found) > self._max_bytes:
            raise Refused(self._too_large())
        if not unpacker.eof:
            raise Failed("its compression is broken: the end is missing")
        return found

    def _too_large(self):
        return f"more than {self._max_bytes:,} bytes"

    @contextlib.asynccontextmanager
    async def _turn(self, url):
        turns = self._turns.setdefault(url.host, asyncio.Semaphore(PER_HOST))
        async with turns:
            yield


class _Budget:
    """The seconds that one link may take, counted while it is being asked for."""

    def __init__(self, seconds):
        self._seconds = self._left = seconds

    @contextlib.asynccontextmanager
    async def spend(self):
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                yield
        except TimeoutError:
            raise Failed(f"not done in {self._seconds:g} s", again=False) from None
        finally:
            self._left -= time.monotonic() - start


def _parsed(link, base=None):
    """A link, or where it leads from the URL `base`, as a URL that may be asked for."""
    try:
        url = base.join(link) if base else httpx.URL(f"https:{link}" if link.startswith("//") else link)
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused(f"{'it leads to' if base else 'this is'} no address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused(f"{'it leads to' if base else 'this is'} {link[:200]!r}, not an http or https address")
    return url


def _retry_after(text):
    """The seconds that a Retry-After header asks for, as a number or as a date."""
    with contextlib.suppress(ValueError, OverflowError):  # a date may be any text
        return courtesy.seconds(text) or 0.0
    return 0.0
