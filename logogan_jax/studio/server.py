"""The studio's server. No request blocks the others: files are read in threads, and another process draws."""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from logogan_jax.core import pages
from logogan_jax.core.errors import UserError
from logogan_jax.studio import own_routes, picture_routes, run_routes
from logogan_jax.studio.favourites import Favourites
from logogan_jax.studio.guard import Guard
from logogan_jax.studio.painter import Busy, Painter
from logogan_jax.studio.rooms import Rooms
from logogan_jax.studio.run_folder import OWN, RunFolder
from logogan_jax.studio.trainings import Trainings
from logogan_jax.studio.uploads import Uploads

_STATIC = pathlib.Path(__file__).with_name("static")
Answer = Callable[[Request], Awaitable[Response]]


def make_app(root: pathlib.Path, host: str, token: str) -> Starlette:
    """Return the application for the runs below a folder, bound to a host; see Guard for the token."""
    runs = RunFolder(root)
    own = runs.root / OWN
    rooms = Rooms(
        runs, Painter(), Favourites(own / "favourites.json"), Trainings(runs.root, own), Uploads(own / "uploads")
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        await rooms.trainings.close()
        await asyncio.to_thread(rooms.painter.close)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/style.css", style),
            Mount("/static", StaticFiles(directory=_STATIC)),
            *(
                Route(path, in_rooms(rooms, answer), methods=[method])
                for method, path, answer in (*run_routes.ROUTES, *picture_routes.ROUTES, *own_routes.ROUTES)
            ),
        ],
        middleware=[Middleware(Guard, host=host, token=token)],
        exception_handlers={UserError: refuse, ClientDisconnect: refuse, HTTPException: refuse},
        lifespan=lifespan,
    )


def in_rooms(rooms: Rooms, answer: Callable[[Rooms, Request], Awaitable[Response]]) -> Answer:
    """Return an endpoint that knows the Rooms."""

    async def endpoint(request: Request) -> Response:
        return await answer(rooms, request)

    return endpoint


async def refuse(request: Request, error: Exception) -> Response:
    """Answer with one line that says what was wrong."""
    del request
    status = 503 if isinstance(error, Busy) else getattr(error, "status_code", 400)
    return PlainTextResponse(f"{getattr(error, 'detail', error)}\n", status)


async def page(request: Request) -> Response:
    """Answer with the page itself."""
    del request
    return FileResponse(_STATIC / "index.html")


async def style(request: Request) -> Response:
    """Answer with the style that all pages share."""
    del request
    return FileResponse(pages.TEMPLATES / "style.css")
