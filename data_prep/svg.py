"""Draw SVG at a given size."""

import io

import resvg_py
from PIL import Image


def render(svg, side, engine="resvg"):
    """SVG text -> RGBA image whose shorter side is `side` pixels, transparent where nothing is drawn.

    resvg gets clips, masks and gradients right and needs no system library; "cairosvg" is there to
    compare (extra "prep"). A text that is not a drawing is a ValueError.
    """
    draw = ENGINES[engine]
    image = draw(svg, width=side)
    return image if image.height >= side else draw(svg, height=side)


def _resvg(svg, **size):
    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, **size)
    except ValueError as error:
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _cairosvg(svg, **size):
    import cairosvg  # an extra, which the default engine does without

    outer = {f"output_{side}": pixels for side, pixels in size.items()}
    try:
        png = cairosvg.svg2png(bytestring=svg.encode(), **outer)
    except Exception as error:  # its parsers raise what they like
        raise ValueError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(png)).convert("RGBA")


ENGINES = {"resvg": _resvg, "cairosvg": _cairosvg}
