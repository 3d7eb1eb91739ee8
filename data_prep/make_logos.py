"""The embedded data set: python -m data_prep.make_logos --size=56 draws and shards 3,255 brand logos.

They come from the package simple-icons-pack: those whose licence is CC0-1.0 or unstated, each in its
brand's official colour on white; the label is the colour's class. Trademarks remain with their owners.
"""

import argparse
import colorsys
import importlib.metadata
import re

import simple_icons_pack

from data_prep import write_tfrecords
from data_prep.convert import Item
from logogan_jax import cache, errors
from logogan_jax.data.shards import MODES
from logogan_jax.errors import UserError

COLOURS = ("black", "grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
# Upper ends of the classes on the hue circle, in degrees; from 345 on it is red again.
_HUES = {15: "red", 45: "orange", 70: "yellow", 165: "green", 200: "cyan", 255: "blue", 290: "purple", 345: "pink"}
_INK = "202020"  # for the brands whose colour cannot be seen on white
_MARGIN = 2  # around the icon's 24 x 24 box, so that it does not touch the border


def embedded(*, size, channels):
    """Folder of the embedded logos' shards in the user's cache, made if it is not there yet."""
    version = importlib.metadata.version("simple-icons-pack")
    target = cache.folder("data", f"simple-icons-{version}-{size}px-{MODES[channels].lower()}")
    if not (target / "metadata.json").exists():
        print(f"Drawing the embedded logos at {size} pixels, once, into {target}")
        try:
            write_tfrecords.write(
                icons(), target, size=size, channels=channels, name="simple_icons", labels=COLOURS,
                description="Brand logos of simple-icons (CC0-1.0), in brand colours on white.",
            )  # fmt: skip
        except (OSError, UserError):
            # Two first runs may draw at once; whoever is second finds the work done.
            if not (target / "metadata.json").exists():
                raise
    return target


def icons():
    """Every icon of the package that is free to use, as an Item with SVG source."""
    found = [getattr(simple_icons_pack, name) for name in dir(simple_icons_pack) if name.startswith("SI_")]
    free = [icon for icon in found if icon.license in (None, "CC0-1.0")]
    return [Item(f"{icon.slug}.svg", COLOURS.index(colour_class(icon.hex)), _svg(icon)) for icon in free]


def colour_class(colour):
    """The class of a colour "RRGGBB", one of COLOURS."""
    hue, lightness, _ = colorsys.rgb_to_hls(*_rgb(colour))
    _, saturation, value = colorsys.rgb_to_hsv(*_rgb(colour))
    if value < 0.2:
        return "black"
    if saturation < 0.15 or lightness > 0.95:
        return "black" if value < 0.35 else "grey"
    return next((name for end, name in _HUES.items() if hue * 360 < end), "red")


def _rgb(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def _svg(icon):
    red, green, blue = _rgb(icon.hex)
    pale = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.9
    box = f'viewBox="{-_MARGIN} {-_MARGIN} {24 + 2 * _MARGIN} {24 + 2 * _MARGIN}" fill="#{_INK if pale else icon.hex}"'
    return re.sub(r'viewBox="0 0 24 24"', box, icon.svg, count=1).encode()


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.make_logos", description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=56, help="side of the images in pixels (default 56)")
    parser.add_argument("--channels", type=int, default=3, choices=sorted(MODES), help="3: RGB (default), 1: grey")
    args = parser.parse_args(argv)
    with errors.reported():
        print(f"The logos are in {embedded(size=args.size, channels=args.channels)}")


if __name__ == "__main__":
    main()
