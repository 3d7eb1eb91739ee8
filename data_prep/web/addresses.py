"""Which machines a download may connect to: public ones, each by an address that was checked."""

import asyncio
import ipaddress
import socket

import httpcore

from logogan_jax.core.errors import UserError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are an IPv4 address
_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that was ever given to anybody


class Refused(Exception):
    """A link that will be no better another time, with the reason."""


class Failed(Exception):
    """A link that may work another time: the reason, after how many seconds, whether in this run."""

    def __init__(self, reason, after=0.0, again=True):
        super().__init__(reason)
        self.after, self.again = after, again


def public(address):
    """Whether an address, or the IPv4 address that is wrapped in it, belongs to the open internet."""
    if address.version == 6:
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return public(inner)
        if address not in _UNICAST:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def trusted(texts):
    """HOST:PORT texts as a set of (host, port)."""
    found = set()
    for text in texts:
        host, _, port = text.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()):
            raise UserError(f"--trusted={text} should be HOST:PORT, as 127.0.0.1:8080 or wiki.example:443")
        found.add((host.strip("[]").lower(), int(port)))
    return found


class Guard(httpcore.AsyncNetworkBackend):
    """Opens connections to public addresses, and to the (host, port) pairs that are trusted.

    A name is resolved once and the connection goes to an address of that answer, so that a second,
    different answer changes nothing. TLS still verifies the name.
    """

    def __init__(self, trusted, network=None):
        self._trusted, self._network = trusted, network or httpcore.AnyIOBackend()

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        """A connection to one of the host's addresses, if all of them are permitted."""
        addresses = await _resolve(host, port, timeout)
        if (host.lower(), port) not in self._trusted:
            private = [str(address) for address in addresses if not public(address)]
            if private:
                raise Refused(f"{host}:{port} is not on the open internet ({private[0]})")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds):
        """Wait."""
        await self._network.sleep(seconds)


async def _resolve(host, port, timeout):
    """Every address of a host."""
    try:
        async with asyncio.timeout(timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise Failed(f"the address of {host} was not found in {timeout:g} s") from None
    except socket.gaierror as error:
        raise Failed(f"the address of {host} is not known ({error.strerror})") from None
    except UnicodeError:
        raise Refused(f"{host} is not the name of a host") from None
    return list(dict.fromkeys(ipaddress.ip_address(address[0]) for *_, address in found))
