"""Answers about runs: which there are, their logs, pictures and pages."""

import asyncio

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from logogan_jax.studio.rooms import Rooms, whole

# A run's page has its own script and styles inside. It may be anybody's run: so it is kept apart from the studio.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)


async def list_runs(rooms: Rooms, request: Request) -> Response:
    """Answer with all runs."""
    del request
    return JSONResponse(await asyncio.to_thread(lambda: [rooms.runs.about(name) for name in rooms.runs.names()]))


async def read_log(rooms: Rooms, request: Request) -> Response:
    """Answer with the lines of a run's log after a byte, and the steps of its pictures."""
    name = request.query_params.get("run", "")
    after = whole(request.query_params.get("after", "0"), "after")
    read = lambda: {**rooms.runs.log(name, after), "samples": rooms.runs.samples(name), **rooms.runs.about(name)}
    return JSONResponse(await asyncio.to_thread(read))


async def read_sample(rooms: Rooms, request: Request) -> Response:
    """Answer with the pictures of a run at a step."""
    step = whole(request.query_params.get("step", ""), "step")
    path = await asyncio.to_thread(rooms.runs.sample, request.query_params.get("run", ""), step)
    return FileResponse(path, media_type="image/png", headers={"cache-control": "max-age=3600"})


async def read_report(rooms: Rooms, request: Request) -> Response:
    """Answer with a run's own page."""
    path = await asyncio.to_thread(rooms.runs.report, request.query_params.get("run", ""))
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": _REPORT_POLICY})


ROUTES = [
    ("GET", "/api/runs", list_runs),
    ("GET", "/api/log", read_log),
    ("GET", "/api/sample", read_sample),
    ("GET", "/report", read_report),
]
