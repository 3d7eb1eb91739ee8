"""Images to squares on white: python -m data_prep.resize_center --path=logos --size=56.

Each image is turned upright, laid on white, cropped to its largest centred square and resized with
Lanczos. write_tfrecords does the same on the way; this is for looking at the squares, or sorting them.
"""

import argparse
import functools

from PIL import Image

from data_prep import convert, folders, square
from logogan_jax import errors
from logogan_jax.data.shards import MODES


def resize(path, size, channels):
    """One image or SVG file -> its square."""
    pixels = square.fit(convert.read(path.name, path.read_bytes(), size), size, channels)
    return [("", Image.fromarray(pixels[..., 0] if channels == 1 else pixels))]


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.resize_center", description=__doc__.splitlines()[0])
    parser.add_argument("-p", "--path", required=True, help="folder of images; sub-folders are kept")
    parser.add_argument("--size", type=int, required=True, help="side of the squares in pixels")
    parser.add_argument("--target_path", help="folder for the squares (default: PATH_SIZE, as logos_56)")
    parser.add_argument("--channels", type=int, default=3, choices=sorted(MODES), help="3: RGB (default), 1: grey")
    args = parser.parse_args(argv)
    with errors.reported():
        target = args.target_path or f"{args.path.rstrip('/')}_{args.size}"
        resize_one = functools.partial(resize, size=args.size, channels=args.channels)
        print(folders.transform(resize_one, args.path, folders.visible(args.path), target))


if __name__ == "__main__":
    main()
