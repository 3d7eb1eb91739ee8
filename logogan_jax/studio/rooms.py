"""What all answers need: the things that requests are about, and how a request is read."""

import base64
import json
import re
from typing import Any, NamedTuple

from starlette.requests import Request

from logogan_jax.core.errors import UserError
from logogan_jax.studio.favourites import Favourites
from logogan_jax.studio.painter import Painter
from logogan_jax.studio.run_folder import RunFolder
from logogan_jax.studio.trainings import Trainings
from logogan_jax.studio.uploads import Uploads

_MOST_JSON = 2**20  # bytes of a request


class Rooms(NamedTuple):
    """What requests are about: the runs, what draws, favourites, trainings, and uploaded images."""

    runs: RunFolder
    painter: Painter
    favourites: Favourites
    trainings: Trainings
    uploads: Uploads


async def read_json(request: Request) -> dict[str, Any]:
    """Return the object that a request holds; UserError if it is none or too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_JSON:
            raise UserError(f"the request has more than {_MOST_JSON:,} bytes")
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError("the request is no object in JSON")
    return value


def whole(text: str, name: str) -> int:
    """Return the whole number that a text holds; UserError names what it is of."""
    if not re.fullmatch(r"\d{1,15}", text):
        raise UserError(f"{name} is {text[:40]!r}: it should be a whole number")
    return int(text)


def data_uri(png: bytes) -> str:
    """Return a PNG file as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
