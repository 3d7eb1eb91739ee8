"""When each server may be asked again, by its own word: what one request is told holds for all to that server."""

import asyncio
import collections
import time
from collections.abc import Callable

from data_prep.web.fetch_errors import TemporaryError

_BUSY_REPLIES = 20  # of a server, one after another, after which it is not asked again in this run


class HostWaits:
    """The servers, as host:port, that asked for a pause.

    A pause of up to `longest` seconds is waited for. A server that wants more is not asked again in that time. `say`
    gets a line for the user about each new pause.
    """

    def __init__(self, longest: float, say: Callable[[str], None] = lambda _: None):
        self.say = say
        self._longest = longest
        self._until: dict[str, float] = {}
        self._busy: collections.Counter[str] = collections.Counter()
        self._closed: dict[str, str] = {}

    def busy(self, host: str, seconds: float | None) -> TemporaryError | None:
        """Note a reply that the server is busy, and the pause that it asks for, if any.

        Returns the error with which its links fail in this run, or None if it can be asked again.
        """
        self._busy[host] += 1
        until = time.monotonic() + (seconds or 0.0)
        if seconds and until > self._until.get(host, 0.0) + 1.0:
            self.say(f"{host} asks to wait {seconds:.0f} s")
        self._until[host] = max(until, self._until.get(host, 0.0))
        if seconds and seconds > self._longest:
            self._closed[host] = f"{host} asks to wait {seconds:.0f} s"
        elif self._busy[host] >= _BUSY_REPLIES:
            self._closed[host] = f"{host} replied {self._busy[host]} times in a row that it is busy"
            self._until[host] = float("inf")
        return self._error(host)

    def answered(self, host: str) -> None:
        """Note that a server has answered."""
        self._busy.pop(host, None)

    async def wait(self, host: str) -> None:
        """Wait for as long as a server has asked for; TemporaryError if that is too long."""
        while (left := self._until.get(host, 0.0) - time.monotonic()) > 0:
            if error := self._error(host):
                raise error
            await asyncio.sleep(left)
        self._closed.pop(host, None)

    def advice(self) -> str:
        """One sentence on the servers that are not asked any more, "" if there is none."""
        reasons = "; ".join(self._closed.values())
        return f"{reasons}: run the same command again after that." if reasons else ""

    def _error(self, host: str) -> TemporaryError | None:
        return TemporaryError(self._closed[host], retry_now=False) if host in self._closed else None
