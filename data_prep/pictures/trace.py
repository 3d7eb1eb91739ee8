"""Flat regions of pixels as the paths of an SVG, one colour after another."""

import io
import re
from typing import NamedTuple

import numpy as np
import vtracer
from PIL import Image

_PATH = re.compile(r'<path d="([^"]*)" fill="[^"]*" transform="translate\(([^"]*)\)"')


class Regions(NamedTuple):
    """A picture of flat colours.

    Attributes:
        colour: uint8[H, W], the number of each pixel's colour, counted from 1, or 0 for the ground.
        colours: such as "#ff8800", in the order in which they are painted.
        ground: the colour of a rectangle below all others, or "" for none, where the ground is transparent.
        width: of the drawing in pixels; its viewBox is W x H.
        height: the same.
        enlarged: by how much the pixels are smaller than those of the picture; specks below a quarter of one are left.
    """

    colour: np.ndarray
    colours: tuple[str, ...]
    ground: str
    width: int
    height: int
    enlarged: int


def to_svg(regions: Regions) -> str:
    """Return the text of an SVG whose fills are the colours that occur in the regions."""
    height, width = regions.colour.shape
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{regions.width}" height="{regions.height}" '
        f'viewBox="0 0 {width} {height}">'
    ]
    if regions.ground:
        lines.append(f'<path fill="{regions.ground}" d="M0 0H{width}V{height}H0Z"/>')
    for number, colour in enumerate(regions.colours, 1):
        own = regions.colour == number
        if own.any():
            # A colour goes on a little below those that are painted on it, so that no ground shines between the two.
            below = _grown(own, regions.enlarged) & (regions.colour > number)
            lines += [
                f'<path fill="{colour}" transform="translate({place})" d="{path}"/>'
                for path, place in _paths(own | below, speck=max(1, regions.enlarged // 2))
            ]
    return "\n".join([*lines, "</svg>", ""])


def _paths(mask: np.ndarray, speck: int) -> list[tuple[str, str]]:
    """Return (d, translation) of the regions in which bool[H, W] is true; of those below speck x speck none."""
    # Black on white and opaque: vtracer takes transparency for a colour where little is transparent. It accepts
    # options that it does not know without a word, so these are all.
    stream = io.BytesIO()
    Image.fromarray(np.where(mask, 0, 255).astype(np.uint8)).convert("RGB").save(stream, format="PNG", compress_level=1)
    text = vtracer.convert_raw_image_to_svg(
        stream.getvalue(), img_format="png", colormode="binary", mode="spline", filter_speckle=speck, path_precision=1
    )
    return [(path.strip(), place) for path, place in _PATH.findall(text)]


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    """Return a mask that reaches `by` pixels further to each side."""
    grown = mask.copy()
    for _ in range(by):
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        wider[:, 1:] |= grown[:, :-1]
        wider[:, :-1] |= grown[:, 1:]
        grown = wider
    return grown
