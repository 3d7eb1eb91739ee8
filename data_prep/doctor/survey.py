"""What is known of all images of a source, and small pictures of some of them for the report."""

import base64
import contextlib
import functools
import itertools
from collections.abc import Callable, Collection, Iterable

import numpy as np
from PIL import Image

from data_prep import pool
from data_prep.doctor import image_info
from data_prep.doctor.duplicates import SIDE
from data_prep.doctor.image_info import ImageInfo
from data_prep.doctor.sources import ImageFolder, ShardRecords
from data_prep.pictures import convert
from data_prep.pictures.convert import ImageSpec, Item
from logogan_jax.core import progress
from logogan_jax.core.storage import filesystem

_MAX_HEIGHT = 96  # pixels of an image that is shown whole
_MAX_WIDTH = 288


class Survey:
    """What is known of the images of a source, by their numbers from 0 on.

    `names` and `labels` are those of the images. `infos` is {number: ImageInfo} of those that can be read, and
    `reasons` is {number: reason} of the others. `thumbnails` is uint8[n, SIDE, SIDE, 3], black for the latter.
    """

    def __init__(self, items: ImageFolder | ShardRecords, spec: ImageSpec):
        self.names: list[str] = []
        self.labels: list[str] = []
        self.infos: dict[int, ImageInfo] = {}
        self.reasons: dict[int, str] = {}
        thumbnails = bytearray()
        named_items, examined_items = itertools.tee(items)
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(progress.Bar("looking", len(items)))
            examine = functools.partial(image_info.examine, spec=spec)
            outcomes = stack.enter_context(pool.map_ordered(examine, examined_items))
            for number, (item, outcome) in enumerate(zip(named_items, outcomes, strict=True)):
                self.names.append(item.name)
                self.labels.append(str(item.label))
                if isinstance(outcome, pool.Failed):
                    self.reasons[number] = outcome.reason
                    thumbnails += bytes(SIDE * SIDE * 3)
                else:
                    self.infos[number] = outcome._replace(thumbnail=b"")
                    thumbnails += outcome.thumbnail
                bar.update(number + 1)
        self.thumbnails = np.frombuffer(thumbnails, np.uint8).reshape(-1, SIDE, SIDE, 3)

    def visible(self) -> list[int]:
        """Return the numbers of the images that can be read and are not empty."""
        return [number for number, info in self.infos.items() if not info.is_empty]


def draw_squares(items: Iterable[Item], spec: ImageSpec, names: Collection[str]) -> dict[str, str]:
    """Return the named items, as the squares of a spec, as {name: PNG as a data URI}."""
    return _draw(items, names, lambda data: _to_square(data, spec))


def draw_whole(items: Iterable[Item], names: Collection[str]) -> dict[str, str]:
    """Return the named items, whole and small, as {name: PNG as a data URI}."""
    return _draw(items, names, _to_small)


def _draw(items: Iterable[Item], names: Collection[str], to_png: Callable[[bytes], bytes]) -> dict[str, str]:
    drawn: dict[str, str] = {}
    for item in items if names else ():
        if item.name in names and item.name not in drawn:
            data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
            drawn[item.name] = "data:image/png;base64," + base64.b64encode(to_png(data)).decode()
    return drawn


def _to_square(data: bytes, spec: ImageSpec) -> bytes:
    return convert.encode_png(convert.to_pillow(convert.to_pixels(convert.decode_for(data, spec), spec)))


def _to_small(data: bytes) -> bytes:
    image = image_info.flatten(convert.decode(data, _MAX_HEIGHT))
    image.thumbnail((_MAX_WIDTH, _MAX_HEIGHT), Image.Resampling.LANCZOS)
    return convert.encode_png(image)
