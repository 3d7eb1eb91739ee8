"""Published icon sets as Items: simple-icons, Font Awesome, and archives of drawings.

simple-icons: those whose licence is CC0-1.0 or unstated, each in its brand's official colour on white;
the label is the colour's class. Trademarks remain with their owners.
"""

import colorsys
import gzip
import importlib.resources
import io
import json
import lzma
import pathlib
import re
import tarfile
import zipfile

import simple_icons_pack

from data_prep.pictures.convert import Item
from logogan_jax.core.errors import UserError

COLOURS = ("black", "grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
# Upper ends of the classes on the hue circle, in degrees; from 345 on it is red again.
_HUES = {15: "red", 45: "orange", 70: "yellow", 165: "green", 200: "cyan", 255: "blue", 290: "purple", 345: "pink"}
_INK = "202020"  # for brands whose colour cannot be seen on white, and for icons without one
_MARGIN = 2  # around simple-icons' 24 x 24 box, so that no icon touches the border
_PICTURES = (".svg", ".svgz", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".ico", ".tif", ".tiff", ".avif")
_LARGEST = 1 << 30  # bytes that a member of an archive may unpack to


def simple_icons():
    """Every icon of the package simple-icons-pack that is free to use, as an Item with SVG source."""
    found = [getattr(simple_icons_pack, name) for name in dir(simple_icons_pack) if name.startswith("SI_")]
    free = [icon for icon in found if icon.license in (None, "CC0-1.0")]
    return [Item(f"{icon.slug}.svg", COLOURS.index(colour_class(icon.hex)), _coloured(icon)) for icon in free]


def colour_class(colour):
    """The class of a colour "RRGGBB", one of COLOURS."""
    hue, lightness, _ = colorsys.rgb_to_hls(*_rgb(colour))
    _, saturation, value = colorsys.rgb_to_hsv(*_rgb(colour))
    if value < 0.2:
        return "black"
    if saturation < 0.15 or lightness > 0.95:
        return "black" if value < 0.35 else "grey"
    return next((name for end, name in _HUES.items() if hue * 360 < end), "red")


def font_awesome():
    """(Items, labels) of the package fontawesomefree, black on white; the label is brands, regular or solid."""
    try:
        root = importlib.resources.files("fontawesomefree") / "static" / "fontawesomefree" / "svgs"
    except ModuleNotFoundError:
        raise UserError("--source=fontawesome needs a package that is not here: pip install fontawesomefree") from None
    styles = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    return [
        Item(f"{style}/{file.name}", label, file.read_bytes())
        for label, style in enumerate(styles)
        for file in sorted((root / style).iterdir(), key=lambda file: file.name)
    ], styles


def read_archive(path):
    """Items of an icon set: Iconify JSON (.json, .json.xz, .json.gz), or a .tgz, .tar or .zip with that or pictures.

    The tarball that `npm pack @iconify-json/logos` leaves is one. Hidden icons and aliases are left out.
    """
    path = pathlib.Path(path).expanduser()
    try:
        members = dict(_members(path))
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UserError(f"--source={path} cannot be read: {error}") from None
    sets = [name for name in members if pathlib.PurePosixPath(name).name in ("icons.json", path.name)]
    if sets:
        return parse_iconify(members[sets[0]], path)
    items = [Item(name, 0, data) for name, data in members.items() if name.lower().endswith(_PICTURES)]
    if not items:
        raise UserError(f"--source={path} holds no icons.json and no picture: choose an icon set, or a folder of logos")
    return items


def parse_iconify(data, path):
    """JSON of an Iconify icon set, as bytes -> Items with SVG source."""
    try:
        icons = json.loads(data)
        bodies = {name: icon for name, icon in icons["icons"].items() if not icon.get("hidden")}
        return [Item(f"{name}.svg", 0, _svg(icon, icons)) for name, icon in bodies.items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"--source={path} is not an Iconify icon set ({type(error).__name__}: {error})") from None


def _svg(icon, root):
    """One icon of a set as a drawing; what it does not say of its box is said at the root, or is 0, 0, 16, 16."""
    left, top, width, height = (
        float(icon.get(key, root.get(key, default)))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    box = f'viewBox="{left:g} {top:g} {width:g} {height:g}" color="#{_INK}"'
    return f"<svg {names} {box}>{icon['body']}</svg>".encode()


def _members(path):
    """(name, bytes) of the files in an archive, or of the one file that is compressed alone."""
    name = path.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                if not member.is_dir() and member.file_size <= _LARGEST:
                    yield member.filename, file.read(member)
    elif name.endswith((".tgz", ".tar.gz", ".tar", ".tar.xz", ".tar.bz2")):
        with tarfile.open(path) as file:
            for member in file:
                if member.isfile() and member.size <= _LARGEST:
                    yield member.name, file.extractfile(member).read()
    elif name.endswith((".json", ".json.xz", ".json.gz")):
        opener = {"xz": lzma.open, "gz": gzip.open}.get(name.rpartition(".")[2], io.open)
        with opener(path, "rb") as file:
            yield path.name, file.read(_LARGEST)
    else:
        raise UserError(f"--source={path} should be a folder, or a .json, .json.xz, .tgz, .tar or .zip")


def _rgb(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def _coloured(icon):
    red, green, blue = _rgb(icon.hex)
    pale = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.9
    box = f'viewBox="{-_MARGIN} {-_MARGIN} {24 + 2 * _MARGIN} {24 + 2 * _MARGIN}" fill="#{_INK if pale else icon.hex}"'
    return re.sub(r'viewBox="0 0 24 24"', box, icon.svg, count=1).encode()
