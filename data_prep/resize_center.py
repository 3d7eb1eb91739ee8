"""Images to squares: python -m data_prep.resize_center --path=logos --size=56.

Each image is turned upright, laid on white, cropped to its largest centred square, as in 2018, and
resized with Lanczos; --fit=pad keeps all of it. With --width they are rectangles. write_tfrecords makes
them too; this is for looking at them, for sorting them, or for cropping.
"""

import argparse
import functools

from data_prep import arguments, folders
from data_prep.pictures import convert
from logogan_jax.core import errors


def resize(path, spec):
    """One image or SVG file -> its square."""
    image = convert.decode_for(path.read_bytes(), spec)
    return [("", convert.to_pillow(convert.to_pixels(image, spec)))]


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.resize_center", description=__doc__.splitlines()[0])
    parser.add_argument("-p", "--path", required=True, help="folder of images; sub-folders are kept")
    parser.add_argument("--target_path", help="folder for the squares (default: PATH_SIZE, or PATH_SIZExWIDTH)")
    arguments.add_image_spec(parser, fit="crop")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        spec = arguments.image_spec(args)
        sides = f"{spec.size}x{spec.width}" if spec.width else spec.size
        target = args.target_path or f"{args.path.rstrip('/')}_{sides}"
        names = folders.list_files(args.path)
        one = functools.partial(resize, spec=spec)
        print(folders.convert_folder(one, args.path, names, target, settings=spec._asdict()))


if __name__ == "__main__":
    main()
