"""The pixels of a PNG whose shape is known, decoded without the search for what kind of file it is."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the colour mode
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels -> PNG's number of the colour mode


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_END = _chunk(b"IEND", b"")


@functools.cache
def _header(shape: tuple[int, int, int]) -> bytes:
    """The first bytes of every PNG of a shape that has 8 bits per channel and is not interlaced."""
    height, width, channels = shape
    fields = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", fields)


def decode(png: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Pixels uint8[H * W * C] of a PNG; ValueError or OSError if it is broken or not of `shape` (H, W, C)."""
    header = _header(shape)
    # Our own PNGs are a header, one IDAT chunk and the end, so the compressed pixels can be handed to zlib directly.
    first = len(header) + 8
    last = len(png) - len(_END) - 4
    one_chunk = png[len(header) : first] == struct.pack(">I4s", max(last - first, 0), b"IDAT")
    if one_chunk and png.startswith(header) and png.endswith(_END):
        mode = MODES[shape[2]]
        try:
            image = Image.frombytes(mode, (shape[1], shape[0]), png[first:last], "zip", mode)
            return np.frombuffer(image.tobytes(), np.uint8)
        except ValueError:
            pass  # the general decoder says what is wrong
    return _decode_any(png, shape)


def _decode_any(png: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """As decode, for every form of PNG."""
    mode = MODES[shape[2]]
    size = (shape[1], shape[0])
    with Image.open(io.BytesIO(png)) as image:
        if (image.mode, image.size) != (mode, size):
            raise ValueError(f"the image is {image.mode} {image.width}x{image.height}, not {mode} {size[0]}x{size[1]}")
        return np.asarray(image).reshape(-1)
