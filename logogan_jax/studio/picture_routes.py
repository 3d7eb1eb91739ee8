"""Answers with pictures of a run, drawn by the process that draws."""

import asyncio
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logogan_jax.core.errors import UserError
from logogan_jax.studio.rooms import Rooms, data_uri, read_json
from logogan_jax.studio.wish import Wish

_TYPES = {"png": "image/png", "webp": "image/webp", "svg": "image/svg+xml"}


async def open_run(rooms: Rooms, request: Request) -> Response:
    """Answer with what can be drawn from a run at a step, whose number later requests name."""
    return JSONResponse(await _ask(rooms, "about", await read_json(request)))


async def draw(rooms: Rooms, request: Request) -> Response:
    """Answer with pictures as data URIs."""
    wanted = await read_json(request)
    return JSONResponse([data_uri(picture) for picture in await _ask(rooms, "sheet", wanted, _wish(wanted))])


async def download(rooms: Rooms, request: Request) -> Response:
    """Answer with one picture as a file."""
    wanted = await read_json(request)
    kind = wanted.get("format")
    if kind not in _TYPES:
        raise UserError(f"format is {kind!r}: it should be png, webp or svg")
    content = await _ask(rooms, "file", wanted, _wish(wanted), kind)
    return Response(content, media_type=_TYPES[kind])


async def animate(rooms: Rooms, request: Request) -> Response:
    """Answer with an animation from each picture to the next."""
    wanted = await read_json(request)
    return Response(await _ask(rooms, "between", wanted, _wish(wanted)), media_type="image/webp")


async def find_nearest(rooms: Rooms, request: Request) -> Response:
    """Answer with the training image that is nearest to each picture."""
    wanted = await read_json(request)
    found = await _ask(rooms, "nearest", wanted, _wish(wanted))
    return JSONResponse([{**one, "picture": data_uri(one["picture"])} for one in found])


async def _ask(rooms: Rooms, name: str, wanted: dict[str, Any], *arguments: Any) -> Any:
    workdir = await asyncio.to_thread(rooms.runs.path, str(wanted.get("run", "")))
    step = str(wanted.get("step", "best"))
    if not re.fullmatch(r"best|newest|\d{1,12}", step):
        raise UserError(f"step is {step[:40]!r}: it should be best, newest, or a number")
    return await rooms.painter.ask(name, workdir, step, *arguments)


def _wish(wanted: dict[str, Any]) -> Wish:
    """Return the Wish of a request; UserError if it is none."""
    try:
        return Wish(
            [(str(one["picture"]), [float(move) for move in one.get("moves", [])]) for one in wanted["pictures"]],
            None if wanted.get("label") in (None, "") else str(wanted["label"]),
            float(wanted.get("truncation", 1.0)),
            int(wanted.get("scale", 1)),
            bool(wanted.get("transparent", False)),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"the request has no pictures as they should be ({type(error).__name__})") from None


ROUTES = [
    ("POST", "/api/open", open_run),
    ("POST", "/api/draw", draw),
    ("POST", "/api/download", download),
    ("POST", "/api/animate", animate),
    ("POST", "/api/nearest", find_nearest),
]
