"""Render SVG at a given size with resvg, which draws clips, masks and gradients right and needs no system library."""

import io

import resvg_py
from PIL import Image


def render(svg, side):
    """SVG text -> RGBA image whose shorter side is `side` pixels, transparent where nothing is drawn."""
    image = _draw(svg, width=side)
    return image if image.height >= side else _draw(svg, height=side)


def _draw(svg, **size):
    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, **size)
    except ValueError as error:
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")
