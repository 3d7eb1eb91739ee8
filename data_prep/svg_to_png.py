"""A folder of SVG to PNG: python -m data_prep.svg_to_png --path=svg --size=224 --target_path=png."""

import argparse
import functools
import importlib
import pathlib
from collections.abc import Sequence

from PIL import Image

from data_prep import arguments, folders
from data_prep.pictures import svg
from logogan_jax.core import errors
from logogan_jax.core.errors import UserError
from logogan_jax.core.installation import install_command


def draw(path: pathlib.Path, side: int, engine: str) -> list[tuple[str, Image.Image]]:
    """[("", picture, transparent where nothing is drawn)] of one SVG file, as folders.Conversion wants it."""
    return [("", svg.render(svg.read(path.read_bytes()), side, engine=engine))]


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
        names = [name for name in folders.list_files(args.path) if name.suffix.lower() in (".svg", ".svgz")]
        draw_file = functools.partial(draw, side=args.size, engine=args.engine)
        settings = {"size": args.size, "engine": args.engine}
        print(folders.convert_folder(draw_file, args.path, names, target, settings=settings))


if __name__ == "__main__":
    main()
