"""When to ask an API again: what its reply means, and how long to wait before the next attempt."""

import contextlib
import email.utils
import json
import time
from typing import Any

from logogan_jax.core.errors import UserError

MAX_ATTEMPTS = 8  # of one request: more than two minutes without an answer
MAX_SERVER_DELAY = 300.0  # seconds; the longest delay that a server can ask for
_MAX_BACKOFF = 60.0  # seconds; the longest delay if the server asks for none
# Errors of MediaWiki that are temporary: replicas that lag, too many requests, a busy database.
_TEMPORARY = ("maxlag", "ratelimited", "readonly", "internal_api_error_")


class ServerBusy(Exception):
    """A failure that a later attempt can overcome, after `delay` seconds if the server names them."""

    def __init__(self, message: str, delay: float | None = None):
        super().__init__(message)
        self.delay = delay


def parse_reply(status: int, retry_after: str | None, body: bytes, address: str) -> dict[str, Any]:
    """Return the JSON object in an API's reply.

    Raises ServerBusy if a later attempt can help, and UserError if not.
    """
    reply = None
    with contextlib.suppress(ValueError):
        reply = json.loads(body)
    if status == 429 or status >= 500:
        raise ServerBusy(f"{address} replied {status}", parse_retry_after(retry_after))
    if not isinstance(reply, dict):
        raise UserError(f"{address} replied {status} and no JSON: check that it is the address of an API")
    error = reply.get("error")
    details = error if isinstance(error, dict) else {}
    if str(details.get("code", "")).startswith(_TEMPORARY):
        raise ServerBusy(f"{address} replied {details['code']}", parse_retry_after(retry_after))
    if details or status != 200:
        reason = details.get("info") or reply.get("detail") or "no reason given"
        raise UserError(f"{address} refused{'' if status == 200 else f' with status {status}'}: {reason}")
    return reply


def parse_retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header names as a number or a date; None if it names none."""
    if not header:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    with contextlib.suppress(ValueError, OverflowError):  # a date can hold any numbers
        date = email.utils.parsedate_tz(header)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
    return None


def retry_delay(busy: ServerBusy, attempts: int) -> float:
    """Return the seconds to wait after this number of attempts; UserError if no attempt should follow."""
    if busy.delay is not None and busy.delay > MAX_SERVER_DELAY:
        raise UserError(f"{busy} and asks to wait {busy.delay:.0f} s: run the same command again after that")
    if attempts >= MAX_ATTEMPTS:
        raise UserError(f"{busy}, {attempts} times in a row: run the same command again later")
    return busy.delay if busy.delay is not None else min(2.0 ** (attempts - 1), _MAX_BACKOFF)
