"""The rules for asking servers: who sends the request, and whether robots.txt decides."""

import sys
import urllib.parse

from logogan_jax import __version__
from logogan_jax.core.errors import UserError

ROBOTS = ("api", "strict", "ignore")  # the values of --robots
_WIKIMEDIA = (".wikimedia.org", ".wikipedia.org")


def user_agent(contact: str | None, library: str) -> str:
    """Return the User-Agent: project, version, contact of the user, and the library that sends the requests.

    Raises a UserError if the contact has characters that cannot be in the header of a request.
    """
    if contact and not (contact.isascii() and contact.isprintable()):
        raise UserError(f"--contact={contact} should be an e-mail address or a page in plain ASCII characters")
    return f"logogan_jax/{__version__} ({contact or 'contact not given'}) {library}"


def check_url(flag: str, url: str) -> str:
    """Return the API address that a flag gives; UserError if it does not begin with http:// or https://."""
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{flag}={url} should begin with https:// or http://")
    return url


def is_wikimedia(url: str) -> bool:
    """Return whether Wikimedia's rules apply to an address."""
    try:
        host = urllib.parse.urlsplit(url).hostname
    except ValueError:  # it is no address
        return False
    return f".{host}".endswith(_WIKIMEDIA)


def obeys_robots(robots: str, url: str) -> bool:
    """Return whether robots.txt applies to requests to an API; `robots` is one of ROBOTS."""
    # Wikimedia closes its APIs to crawlers in robots.txt, but has separate rules for API clients.
    return robots == "strict" or (robots != "ignore" and not is_wikimedia(url))


def ask_for_contact(contact: str, url: str) -> None:
    """Ask the user for --contact if the address is Wikimedia's and no contact is given."""
    if not contact and is_wikimedia(url):
        line = "Wikimedia asks who sends the requests: add --contact= with an e-mail address or a page of yours."
        print(line, file=sys.stderr, flush=True)
