"""The facts of all images of a folder, a bucket or TFRecord shards."""

import base64
import contextlib
import functools
import itertools

import numpy as np
from PIL import Image

from data_prep import pool
from data_prep.doctor import look
from data_prep.doctor.duplicates import SIDE
from data_prep.pictures import convert
from logogan_jax.core import progress
from logogan_jax.core.storage import filesystem

_TALLEST, _WIDEST = 96, 288  # pixels of a long image shown whole


class Survey:
    """What was found in a source: names, labels, facts (None of what cannot be read), reasons {i: why}, thumbnails."""

    def __init__(self, items, frame):
        self.names, self.labels, self.facts, self.reasons, thumbnails = [], [], [], {}, bytearray()
        shown, looked = itertools.tee(items)
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(progress.Bar("looking", len(items)))
            work = functools.partial(look.examine, frame=frame)
            outcomes = stack.enter_context(pool.map_ordered(work, looked))
            for number, (item, outcome) in enumerate(zip(shown, outcomes, strict=True)):
                failed = isinstance(outcome, pool.Failed)
                if failed:
                    self.reasons[number] = outcome.reason
                self.names.append(item.name)
                self.labels.append(item.label)
                self.facts.append(None if failed else outcome._replace(thumbnail=b""))
                thumbnails += bytes(SIDE * SIDE * 3) if failed else outcome.thumbnail
                bar.update(number + 1)
        self.thumbnails = np.frombuffer(thumbnails, np.uint8).reshape(-1, SIDE, SIDE, 3)

    def visible(self):
        """Numbers of the images in which there is something to see."""
        return [number for number, facts in enumerate(self.facts) if facts and not facts.empty]


def pictures(items, frame, squares=(), whole=()):
    """{name: PNG as a data URI} of some Items as squares and as they are: two dictionaries."""
    drawn = {}, {}
    for item in items:
        for names, shown, show in ((squares, drawn[0], _square), (whole, drawn[1], _whole)):
            if item.name in names and item.name not in shown:
                data = item.source if isinstance(item.source, bytes) else filesystem.read_file(item.source)
                shown[item.name] = "data:image/png;base64," + base64.b64encode(show(data, frame)).decode()
    return drawn


def _square(data, frame):
    return convert.encode_png(convert.to_pillow(convert.to_pixels(convert.decode_for(data, frame), frame)))


def _whole(data, _):
    image = look.flat(convert.decode(data, _TALLEST))
    image.thumbnail((_WIDEST, _TALLEST), Image.Resampling.LANCZOS)
    return convert.encode_png(image)
