"""How a tool behaves towards a server: says who calls, waits as it is told, and gives up in one line."""

import contextlib
import email.utils
import json
import sys
import time
import urllib.parse

from logogan_jax import __version__
from logogan_jax.core.errors import UserError

ROBOTS = ("api", "strict", "ignore")
TRIES = 8  # of one request: more than two minutes of silence
LONGEST = 300.0  # seconds that a tool waits because a server says so
_PAUSE = 60.0  # seconds, the longest that it waits of itself
# Errors of MediaWiki that pass: replicas that lag, too many requests, a database that was busy.
_PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error_")

_WIKIMEDIA = (".wikimedia.org", ".wikipedia.org")


class Busy(Exception):
    """Asking again may help, after `wait` seconds if the server named them."""

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


def agent(contact, library):
    """The User-Agent: this project, its version, how to reach whoever runs it, and what sends the requests."""
    return f"logogan_jax/{__version__} ({contact or 'contact not given'}) {library}"


def address(flag, url):
    """The address of an API that a flag names."""
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{flag}={url} should begin with https:// or http://")
    return url


def wikimedia(url):
    """Whether Wikimedia's rules hold for an address."""
    return f".{urllib.parse.urlsplit(url).hostname}".endswith(_WIKIMEDIA)


def obeys(robots, url):
    """Whether robots.txt decides about questions to an API, for a word of ROBOTS."""
    return robots == "strict" or (robots != "ignore" and not wikimedia(url))


def introduce(contact, url):
    """Tell the user what Wikimedia would like to be told."""
    if not contact and wikimedia(url):
        line = "Wikimedia asks who is calling: add --contact= with an e-mail address or a page of yours."
        print(line, file=sys.stderr, flush=True)


def answer(status, retry_after, body, address):
    """The JSON object that an API replied; Busy if asking again may help, a UserError if not."""
    found = None
    with contextlib.suppress(ValueError):
        found = json.loads(body)
    if status == 429 or status >= 500:
        raise Busy(f"{address} replied {status}", seconds(retry_after))
    if not isinstance(found, dict):
        raise UserError(f"{address} replied {status} and no JSON: check that it is the address of an API")
    fault = found.get("error")
    fault = fault if isinstance(fault, dict) else {}
    if str(fault.get("code", "")).startswith(_PASSING):
        raise Busy(f"{address} replied {fault['code']}", seconds(retry_after))
    if fault or status != 200:
        reason = fault.get("info") or found.get("detail") or "no reason given"
        raise UserError(f"{address} refused{'' if status == 200 else f' with status {status}'}: {reason}")
    return found


def seconds(retry_after):
    """What a Retry-After header says, a number or a date; None if it says nothing."""
    if not retry_after:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(retry_after))
    date = email.utils.parsedate_tz(retry_after)
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None


def pause(busy, tried):
    """Seconds to wait after a request was tried so many times; a UserError when patience ends."""
    if busy.wait is not None and busy.wait > LONGEST:
        raise UserError(f"{busy} and asks to wait {busy.wait:.0f} s: run the same command again after that")
    if tried >= TRIES:
        raise UserError(f"{busy}, {tried} times in a row: run the same command again later")
    return busy.wait if busy.wait is not None else min(2.0 ** (tried - 1), _PAUSE)
