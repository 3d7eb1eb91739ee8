"""Who may talk to the studio: its own page on this machine, or whoever has its token where it is bound to the network.

A page of another site that is open in the same browser can send requests to a port of this machine. So the Host must
be this machine (against DNS rebinding), and a request that another origin sends is refused.
"""

import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "logogan_studio"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    """Return whether an address to bind to is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token(host: str) -> str:
    """Return a token that requests must have, or an empty text where only this machine can send any."""
    return "" if is_loopback(host) else secrets.token_urlsafe(16)


class Guard:
    """ASGI middleware that refuses foreign requests with 403 and one line; `token` is empty on loopback."""

    def __init__(self, app: ASGIApp, host: str, token: str):
        self._app = app
        self._anywhere = not is_loopback(host)
        self._names = {"localhost", host}
        if self._anywhere:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer it with a refusal."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal:
            await PlainTextResponse(f"refused: {refusal}\n", 403)(scope, receive, send)
            return
        if self._token and not self._has_cookie(headers):
            given = QueryParams(scope["query_string"]).get("token", "")
            if not secrets.compare_digest(given.encode(), self._token.encode()):
                await PlainTextResponse("refused: open the address that the studio printed\n", 403)(
                    scope, receive, send
                )
                return
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, _with_headers(send))

    def _refusal(self, headers: Headers) -> str:
        host = headers.get("host", "")
        if not self._is_own(host):
            return f"the Host is {host[:100]!r}, which is not this machine"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"the Origin is {origin[:100]!r}, which is not this page"
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none"):
            return "another site sent the request"
        return ""

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names:
            return True
        try:  # a name can be made to lead here, an address cannot
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._anywhere

    def _has_cookie(self, headers: Headers) -> bool:
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        given = next((value for name, _, value in cookies if name == COOKIE), "")
        return secrets.compare_digest(given.encode(), self._token.encode())


def _with_headers(send: Send) -> Send:
    """Return a send that adds the headers of _HEADERS, and PAGE_POLICY where an answer has no policy of its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            extra = {**_HEADERS, "content-security-policy": PAGE_POLICY}
            message["headers"] = [
                *message["headers"],
                *((name.encode(), value.encode()) for name, value in extra.items() if name.encode() not in names),
            ]
        await send(message)

    return sending
