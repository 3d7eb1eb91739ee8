"""Which machines a download can connect to: public ones, by an address that was checked."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import cast

import httpcore

from data_prep.web.fetch_errors import PermanentError, TemporaryError
from logogan_jax.core.errors import UserError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are an IPv4 address
_UNICAST = ipaddress.ip_network("2000::/3")  # every IPv6 address that has been assigned


def is_public(address: IPAddress) -> bool:
    """Return whether an address, or the IPv4 address that it embeds, is on the open internet."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if embedded:
            return is_public(embedded)
        if address not in _UNICAST:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def parse_trusted(texts: Iterable[str]) -> set[tuple[str, int]]:
    """Return HOST:PORT texts as a set of (host, port); UserError if one has another form."""
    trusted = set()
    for text in texts:
        host, _, port = text.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()):
            raise UserError(f"--trusted={text} should be HOST:PORT, as 127.0.0.1:8080 or wiki.example:443")
        trusted.add((host.strip("[]").lower(), int(port)))
    return trusted


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to public addresses, and to trusted (host, port) pairs.

    A name is resolved once and the connection goes to an address of that answer, so that a second, different
    answer changes nothing. TLS still verifies the name.
    """

    def __init__(self, trusted: set[tuple[str, int]], network: httpcore.AsyncNetworkBackend | None = None):
        self._trusted = trusted
        # The cast: type checkers see the stand-in that httpcore has where anyio is missing.
        self._network = network or cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one address of the host.

        Raises PermanentError if any of its addresses is private and the host is not trusted.
        """
        addresses = await _resolve(host, port, timeout)
        if (host.lower(), port) not in self._trusted:
            private = [str(address) for address in addresses if not is_public(address)]
            if private:
                raise PermanentError(f"{host}:{port} is not on the open internet ({private[0]})")
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait this number of seconds."""
        await self._network.sleep(seconds)


async def _resolve(host: str, port: int, timeout: float | None) -> list[IPAddress]:
    """Return every address of a host."""
    try:
        async with asyncio.timeout(timeout):
            answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise TemporaryError(f"the address of {host} was not found in {timeout:g} s") from None
    except socket.gaierror as error:
        raise TemporaryError(f"the address of {host} is not known ({error.strerror})") from None
    except UnicodeError:
        raise PermanentError(f"{host} is not the name of a host") from None
    return list(dict.fromkeys(ipaddress.ip_address(address[0]) for *_, address in answers))
