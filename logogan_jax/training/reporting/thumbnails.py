"""The grids of pictures that a run's page holds: so few and so small that the page stays under four megabytes."""

import base64
import io
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image

MOST = 24  # grids of samples on a page
MOST_BYTES = 90_000  # of a grid; base64 makes a third more of it
_MOST_SIDE = 960  # pixels
_QUALITIES = (90, 75, 50, 25)  # of JPEG, tried in turn
_EMBEDDED = re.compile(r'data-file="([^"]+)" src="(data:image/(?:webp|jpeg);base64,[A-Za-z0-9+/=]+)"')


class Thumbnail(NamedTuple):
    """A grid of pictures on a page: the version of its file, and the picture as a data URI."""

    file: str
    uri: str


def shown_steps(steps: Sequence[int]) -> list[int]:
    """Return at most MOST of the sorted steps: the newest, and of the others each, every second, fourth, and so on.

    What is shown once the run is longer was shown before, so a page never needs more than one new grid.
    """
    stride = 1
    while len(steps[::stride]) >= MOST:
        stride *= 2
    return sorted({*steps[::stride], *steps[-1:]})


def sample_steps(folder: pathlib.Path, last: int) -> list[int]:
    """Return the steps up to `last` of which a folder has a grid of samples, sorted."""
    # Those of later steps are from before a roll-back.
    return sorted(int(path.stem) for path in folder.glob("*.png") if path.stem.isdigit() and int(path.stem) <= last)


def read_embedded(page: str) -> dict[str, str]:
    """Return {version of a file: data URI} of the grids in a page that was written before."""
    return dict(_EMBEDDED.findall(page))


def thumbnail(path: pathlib.Path, known: dict[str, str], scale: int) -> Thumbnail | None:
    """Return the Thumbnail of a grid's file whose pixels are repeated `scale` times; None if there is no such file.

    It is taken from `known`, {version: data URI}, where the file has not changed.
    """
    try:
        status = path.stat()
        version = f"{path.name}:{status.st_size}:{status.st_mtime_ns}"
        return Thumbnail(version, known.get(version) or _embed(path, scale))
    except FileNotFoundError:
        return None


def _embed(path: pathlib.Path, scale: int) -> str:
    with Image.open(path) as file:
        picture = file.convert("RGB")
    # What was enlarged for a person is enlarged by the page instead.
    picture = picture.resize((picture.width // scale, picture.height // scale), Image.Resampling.NEAREST)
    if max(picture.size) > _MOST_SIDE:
        picture = picture.reduce(-(-max(picture.size) // _MOST_SIDE))
    kind, content = next(one for one in _encodings(picture) if len(one[1]) <= MOST_BYTES)
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()


def _encodings(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Yield a picture as (kind, bytes), each time smaller."""
    yield "webp", _save(picture, format="WEBP", lossless=True, method=0, quality=20)
    while True:
        for quality in _QUALITIES:
            # Colours as fine as brightness: those of logos end at sharp edges.
            yield "jpeg", _save(picture, format="JPEG", quality=quality, subsampling=0)
        picture = picture.reduce(2)


def _save(picture: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, **options)
    return stream.getvalue()
