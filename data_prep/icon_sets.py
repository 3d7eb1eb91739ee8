"""Published icon sets as Items: simple-icons, Font Awesome, and archives of drawings.

Of simple-icons, those whose licence is CC0-1.0 or unstated, each in its brand's official colour on white; the label is
the class of that colour. Trademarks remain with their owners.
"""

import colorsys
import contextlib
import gzip
import importlib.resources
import io
import json
import lzma
import pathlib
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import simple_icons_pack

from data_prep import listing
from data_prep.pictures.convert import Item
from logogan_jax.core import files, pointers
from logogan_jax.core.errors import UserError

COLOURS = ("black", "grey", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
# Upper bounds of the classes on the hue circle, in degrees; from 345 on it is red again.
_HUE_BOUNDS = {
    15: "red",
    45: "orange",
    70: "yellow",
    165: "green",
    200: "cyan",
    255: "blue",
    290: "purple",
    345: "pink",
}
_INK = "202020"  # for brands whose colour is invisible on white, and for icons without a colour
_MARGIN = 2  # around simple-icons' 24 x 24 box, so that no icon touches the border
_PICTURES = (".svg", ".svgz", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".ico", ".tif", ".tiff", ".avif")
_START_BYTES = 4096
# What readers of archives raise where one is damaged, or packed in a way that they lack, as with a password.
_READ_ERRORS = (
    OSError, EOFError, RuntimeError, ValueError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_MAX_MEMBER_BYTES = 1 << 30  # of an unpacked member of an archive


def simple_icons() -> list[Item]:
    """Every icon of the package simple-icons-pack that is free to use, as an Item with SVG source."""
    icons = [getattr(simple_icons_pack, name) for name in dir(simple_icons_pack) if name.startswith("SI_")]
    free = [icon for icon in icons if icon.license in (None, "CC0-1.0")]
    return [Item(f"{icon.slug}.svg", COLOURS.index(colour_class(icon.hex)), _coloured(icon)) for icon in free]


def colour_class(colour: str) -> str:
    """The class, one of COLOURS, of a colour "RRGGBB"."""
    hue, lightness, _ = colorsys.rgb_to_hls(*_rgb(colour))
    _, saturation, value = colorsys.rgb_to_hsv(*_rgb(colour))
    if value < 0.2:
        return "black"
    if saturation < 0.15 or lightness > 0.95:
        return "black" if value < 0.35 else "grey"
    return next((name for bound, name in _HUE_BOUNDS.items() if hue * 360 < bound), "red")


def font_awesome() -> tuple[list[Item], list[str]]:
    """(Items, labels) of the package fontawesomefree, black on white; the labels are brands, regular and solid."""
    try:
        root = importlib.resources.files("fontawesomefree") / "static" / "fontawesomefree" / "svgs"
    except ModuleNotFoundError:
        raise UserError(
            "--source=fontawesome needs a package that is not installed: pip install fontawesomefree"
        ) from None
    styles = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    return [
        Item(f"{style}/{file.name}", label, file.read_bytes())
        for label, style in enumerate(styles)
        for file in sorted((root / style).iterdir(), key=lambda file: file.name)
    ], styles


def read_archive(path: str | pathlib.Path) -> list[Item]:
    """Items of an icon set: Iconify JSON (.json, .json.xz, .json.gz), or a .tgz, .tar or .zip of that or of pictures.

    What the file and the members of an archive hold decides, whatever their names, if it can be known.
    One example is the tarball that `npm pack @iconify-json/logos` leaves. Hidden icons and aliases are left out.

    Raises:
        UserError: if the file is damaged or holds no icons.
    """
    path = files.expand(path)
    pointers.refuse(path, "source")
    try:
        members = dict(_members(path))
    except _READ_ERRORS as error:
        raise UserError(f"--source={path} cannot be read: {' '.join(str(error).split())}") from None
    sets = [name for name in members if pathlib.PurePosixPath(name).name in ("icons.json", path.name)]
    if sets:
        return parse_iconify(members[sets[0]], path)
    items = [
        Item(name, 0, data)
        for name, data in members.items()
        if name.lower().endswith(_PICTURES) or listing.is_picture(data)
    ]
    if not items:
        raise UserError(f"--source={path} holds no icons.json and no picture: choose an icon set, or a folder of logos")
    return items


def parse_iconify(data: bytes, path: pathlib.Path) -> list[Item]:
    """Items, with SVG source, of the JSON of an Iconify icon set; UserError, which names `path`, if it is none."""
    if pointer := pointers.describe(data):
        raise UserError(f"--source={path} holds no icon set: its icons.json is {pointer}")
    try:
        icon_set = json.loads(data)
        icons = {name: icon for name, icon in icon_set["icons"].items() if not icon.get("hidden")}
        return [Item(f"{name}.svg", 0, _iconify_svg(icon, icon_set)) for name, icon in icons.items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"--source={path} is not an Iconify icon set ({type(error).__name__}: {error})") from None


def _iconify_svg(icon: dict[str, Any], defaults: dict[str, Any]) -> bytes:
    """The SVG of one icon; sides of its box that it does not state are in `defaults`, or are those of 0, 0, 16, 16."""
    left, top, width, height = (
        float(icon.get(key, defaults.get(key, default)))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    box = f'viewBox="{left:g} {top:g} {width:g} {height:g}" color="#{_INK}"'
    return f"<svg {namespaces} {box}>{icon['body']}</svg>".encode()


def _members(path: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the files in an archive, or of a single JSON file, which may be compressed."""
    kind = _kind(path)
    if kind == "zip":
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                if not member.is_dir() and member.file_size <= _MAX_MEMBER_BYTES:
                    yield member.filename, file.read(member)
    elif kind == "tar":
        with tarfile.open(path) as file:
            for member in file:
                content = file.extractfile(member) if member.isfile() and member.size <= _MAX_MEMBER_BYTES else None
                if content:
                    yield member.name, content.read()
    elif kind == "json":
        with _open_unpacked(path) as file:
            yield path.name, file.read(_MAX_MEMBER_BYTES)
    else:
        raise UserError(f"--source={path} should be a folder, or a .json, .json.xz, .tgz, .tar or .zip")


def _kind(path: pathlib.Path) -> str:
    """ "zip", "tar" or "json" by the content of a file, or by its name if that is damaged; "" for others."""
    if zipfile.is_zipfile(path):
        return "zip"
    if tarfile.is_tarfile(path):
        return "tar"
    endings = {
        "zip": (".zip",),
        "tar": (".tgz", ".tar.gz", ".tar", ".tar.xz", ".tar.bz2"),
        "json": (".json", ".json.xz", ".json.gz"),
    }
    by_name = next((kind for kind, names in endings.items() if path.name.lower().endswith(names)), "")
    with contextlib.suppress(OSError, EOFError, lzma.LZMAError, zlib.error), _open_unpacked(path) as file:
        return "json" if file.read(_START_BYTES).lstrip().startswith(b"{") else by_name
    return by_name


def _open_unpacked(path: pathlib.Path) -> IO[bytes]:
    """Open a file that may be compressed by gzip or xz."""
    with open(path, "rb") as file:
        start = file.read(6)
    name = "json" if start.lstrip().startswith(b"{") else path.suffix.lower()
    is_gzip = start.startswith(b"\x1f\x8b") or name == ".gz"
    opener = gzip.open if is_gzip else lzma.open if start == b"\xfd7zXZ\0" or name == ".xz" else io.open
    return opener(path, "rb")  # pyright: ignore[reportReturnType] - of bytes


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def _coloured(icon: Any) -> bytes:
    """The SVG of an icon in its brand's colour, with a margin."""
    red, green, blue = _rgb(icon.hex)
    pale = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.9
    box = f'viewBox="{-_MARGIN} {-_MARGIN} {24 + 2 * _MARGIN} {24 + 2 * _MARGIN}" fill="#{_INK if pale else icon.hex}"'
    return re.sub(r'viewBox="0 0 24 24"', box, icon.svg, count=1).encode()
