"""Answers about what a person keeps and starts: favourites, uploads and trainings."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from logogan_jax.core.errors import UserError
from logogan_jax.studio.rooms import Rooms, read_json


async def list_favourites(rooms: Rooms, request: Request) -> Response:
    """Answer with all favourites."""
    del request
    return JSONResponse(await asyncio.to_thread(rooms.favourites.all))


async def change_favourites(rooms: Rooms, request: Request) -> Response:
    """Add or remove a favourite, and answer with all that are left."""
    wanted = await read_json(request)
    change = {"add": rooms.favourites.add, "remove": rooms.favourites.remove}.get(str(wanted.get("change")))
    keys = ("run", "step", "picture", "moves", "label", "truncation")
    if change is None or not isinstance(wanted.get("favourite"), dict) or set(wanted["favourite"]) - set(keys):
        raise UserError(f"a favourite is changed by add or remove, and has {', '.join(keys)}")
    return JSONResponse(await asyncio.to_thread(change, wanted["favourite"]))


async def list_trainings(rooms: Rooms, request: Request) -> Response:
    """Answer with the trainings that this studio has started."""
    del request
    return JSONResponse(rooms.trainings.all())


async def change_training(rooms: Rooms, request: Request) -> Response:
    """Look at a folder, start to train on it, or stop; answer with all trainings."""
    wanted = await read_json(request)
    try:
        if wanted.get("change") == "look":
            size = int(wanted["size"])
            folder = str(wanted.get("folder") or "") or str(rooms.uploads.folder(str(wanted["upload"])))
            rooms.trainings.look(folder, str(wanted["name"]), size)
        elif wanted.get("change") == "start":
            rooms.trainings.start(int(wanted["number"]), float(wanted["minutes"]))
        elif wanted.get("change") == "stop":
            rooms.trainings.stop(int(wanted["number"]))
        else:
            raise UserError("a training is changed by look, start or stop")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"the request lacks what it needs ({type(error).__name__}: {error})") from None
    return JSONResponse(rooms.trainings.all())


async def upload(rooms: Rooms, request: Request) -> Response:
    """Keep one file of an upload."""
    await rooms.uploads.keep(
        request.query_params.get("upload", ""), request.query_params.get("file", ""), request.stream()
    )
    return PlainTextResponse("kept\n")


ROUTES = [
    ("GET", "/api/favourites", list_favourites),
    ("POST", "/api/favourites", change_favourites),
    ("GET", "/api/trainings", list_trainings),
    ("POST", "/api/trainings", change_training),
    ("PUT", "/api/upload", upload),
]
