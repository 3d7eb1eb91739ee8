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


def resize(path, frame):
    """One image or SVG file -> its square."""
    image = convert.read_for(path.read_bytes(), frame)
    return [("", convert.picture(convert.framed(image, frame)))]


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.resize_center", description=__doc__.splitlines()[0])
    parser.add_argument("-p", "--path", required=True, help="folder of images; sub-folders are kept")
    parser.add_argument("--target_path", help="folder for the squares (default: PATH_SIZE, or PATH_SIZExWIDTH)")
    arguments.add_frame(parser, fit="crop")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        frame = arguments.frame(args)
        sides = f"{frame.size}x{frame.width}" if frame.width else frame.size
        target = args.target_path or f"{args.path.rstrip('/')}_{sides}"
        names = folders.visible(args.path)
        one = functools.partial(resize, frame=frame)
        print(folders.transform(one, args.path, names, target, settings=frame._asdict()))


if __name__ == "__main__":
    main()
