"""Images to squares: python -m data_prep.resize_center --path=logos --size=56.

Each image is turned upright, laid on white, cropped to its largest centred square, as in 2018, and resized with
Lanczos; --fit=pad keeps the whole image. With --width the results are rectangles. write_tfrecords does the same
itself; this tool is for looking at the squares, for sorting them, or for cropping.
"""

import argparse
import functools
import pathlib
from collections.abc import Sequence

from PIL import Image

from data_prep import arguments, folders
from data_prep.pictures import convert
from logogan_jax.core import errors


def resize(path: pathlib.Path, spec: convert.ImageSpec) -> list[tuple[str, Image.Image]]:
    """[("", square)] of one image or SVG file, as folders.Conversion wants it."""
    image = convert.decode_for(path.read_bytes(), spec)
    square = convert.to_pillow(convert.to_pixels(image, spec))
    square.info = image.info
    return [("", square)]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.resize_center", description=arguments.summary(__doc__))
    parser.add_argument("-p", "--path", required=True, help="folder of images; sub-folders are kept")
    parser.add_argument("--target_path", help="folder for the squares (default: PATH_SIZE, or PATH_SIZExWIDTH)")
    arguments.add_image_spec(parser, fit="crop")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        spec = arguments.image_spec(args)
        sides = f"{spec.size}x{spec.width}" if spec.width else spec.size
        target = args.target_path or arguments.beside(args.path, f"_{sides}")
        names = folders.list_files(args.path)
        resize_file = functools.partial(resize, spec=spec)
        print(folders.convert_folder(resize_file, args.path, names, target, settings=spec._asdict()))


if __name__ == "__main__":
    main()
