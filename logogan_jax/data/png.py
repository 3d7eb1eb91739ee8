"""The pixels of a PNG whose shape is known, without the search for what kind of file it might be."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the colour mode
_COLOUR = {1: 0, 3: 2, 4: 6}  # channels -> PNG's number of it


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_END = _chunk(b"IEND", b"")


@functools.cache
def _start(shape):
    """How every PNG of a shape begins that is of 8 bits and not interlaced."""
    height, width, channels = shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)


def decode(png, shape):
    """Bytes of a PNG -> its pixels uint8[H * W * C]; ValueError or OSError if it is none of `shape` (H, W, C)."""
    start = _start(shape)
    first, last = len(start) + 8, len(png) - len(_END) - 4  # of the compressed pixels, where nothing else is there
    alone = png[len(start) : first] == struct.pack(">I4s", max(last - first, 0), b"IDAT")
    if alone and png.startswith(start) and png.endswith(_END):
        mode, size = MODES[shape[2]], shape[1::-1]
        try:
            return np.frombuffer(Image.frombytes(mode, size, png[first:last], "zip", mode).tobytes(), np.uint8)
        except ValueError:
            pass  # what is wrong is told below
    return _any(png, shape)


def _any(png, shape):
    """As `pixels`, of PNGs that others wrote, too."""
    with Image.open(io.BytesIO(png)) as image:
        mode, size = MODES[shape[2]], shape[1::-1]
        if (image.mode, image.size) != (mode, size):
            raise ValueError(f"the image is {image.mode} {image.width}x{image.height}, not {mode} {size[0]}x{size[1]}")
        return np.asarray(image).reshape(-1)
