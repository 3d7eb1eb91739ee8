"""A folder of SVG to PNG: python -m data_prep.svg_to_png --path=svg --size=224 --target_path=png.

What a file holds decides whether it is an SVG, whatever its name. Files that are none are counted and left; one that is
called .svg or .svgz is rejected, with what it is.
"""

import argparse
import functools
import importlib
import pathlib
import shlex
from collections.abc import Sequence

from PIL import Image

from data_prep import arguments, folders, listing
from data_prep.pictures import convert, rasters, svg, svg_text
from logogan_jax.core import errors, files
from logogan_jax.core.errors import UserError
from logogan_jax.core.installation import install_command


def draw(path: pathlib.Path, side: int, engine: str) -> list[tuple[str, Image.Image]]:
    """[("", picture, transparent where nothing is drawn)] of one SVG file, as folders.Conversion wants it."""
    data = path.read_bytes()
    if not svg_text.looks_like_svg(data):
        raise ValueError(_describe(data))
    return [("", svg.render(svg.read(data), side, engine=engine))]


def _describe(data: bytes) -> str:
    """What the bytes of a file are that are no SVG."""
    if not data:
        return "the file is empty"
    try:
        return f"not an SVG but a picture in {rasters.header(data).format}: data_prep.resize_center takes it"
    except convert.DECODE_ERRORS as error:
        return convert.describe_error(error)


def list_drawings(path: str | pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Relative paths of the files below a folder: those that are SVG or are called so, and all others."""
    drawings = []
    others = []
    for name in folders.list_files(path):
        called_so = name.suffix.lower() in (".svg", ".svgz")
        (drawings if called_so or listing.is_svg(files.expand(path) / name) else others).append(name)
    return drawings, others


def _count(others: Sequence[pathlib.Path]) -> str:
    """Say how many files are no SVG, and name one."""
    example = shlex.quote(str(others[0]))
    return (
        f"1 other file is no SVG ({example})"
        if len(others) == 1
        else f"{len(others)} other files are no SVG ({example} ...)"
    )


def _require_cairosvg() -> None:
    try:
        importlib.import_module("cairosvg")
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--engine=cairosvg is not available ({reason}): install the cairo library of your system and "
            f"{install_command('prep')}, or use the default engine"
        ) from None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.svg_to_png", description=arguments.summary(__doc__))
    parser.add_argument("-p", "--path", required=True, help="folder of SVG files; sub-folders are kept")
    parser.add_argument("--size", type=int, default=224, help="shorter side of the PNGs in pixels (default 224)")
    parser.add_argument("--target_path", help="folder for the PNGs (default: PATH_png)")
    parser.add_argument("--engine", choices=list(svg.ENGINES), default="resvg", help="what draws (default resvg)")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        if not 1 <= args.size <= arguments.LARGEST:
            raise UserError(f"--size={args.size} should be from 1 to {arguments.LARGEST} pixels")
        if args.engine == "cairosvg":
            _require_cairosvg()
        target = args.target_path or arguments.beside(args.path, "_png")
        drawings, others = list_drawings(args.path)
        if others and not drawings:
            raise UserError(
                f"--path={args.path} holds no SVG; {_count(others)}: data_prep.resize_center takes pictures"
            )
        left = f", {_count(others)}" if others else ""
        draw_file = functools.partial(draw, side=args.size, engine=args.engine)
        settings = {"size": args.size, "engine": args.engine}
        print(folders.convert_folder(draw_file, args.path, drawings, target, settings=settings, left=left))


if __name__ == "__main__":
    main()
