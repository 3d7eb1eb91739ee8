"""Flags that several tools share, and flags that they print in the commands they recommend."""

import argparse
import pathlib
import shlex

from data_prep.pictures.convert import ImageSpec
from data_prep.pictures.resize import FITS
from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.data.png import MODES

LARGEST = 4096  # pixels of a side


def summary(docstring: str | None) -> str:
    """The first line of a tool's docstring, for its --help."""
    return (docstring or "").split("\n", 1)[0]


def add_image_spec(parser: argparse.ArgumentParser, size: int | None = None, fit: str = "pad") -> None:
    """Add the flags of an ImageSpec; --size is required unless it has a default."""
    default = f" (default {size})" if size else ""
    add = parser.add_argument
    add("--size", "--height", type=int, default=size, required=not size, help=f"side of the squares in pixels{default}")
    add("--width", type=int, default=0, help="width, if the images are not square; --size is their height then")
    add("--channels", type=int, default=3, choices=sorted(MODES), help="3: RGB (default), 1: grey, 4: keep alpha")
    add(
        "--fit", choices=FITS, default=fit,
        help=f"crop: the largest centred part of that shape; pad: the whole image on its background (default {fit})",
    )  # fmt: skip
    add("--trim", action="store_true", help="first cut off margins of one colour")


def image_spec(args: argparse.Namespace) -> ImageSpec:
    """The ImageSpec of parsed flags; UserError if a side is out of range."""
    for flag, value in (("size", args.size), ("width", args.width or args.size)):
        if not 1 <= value <= LARGEST:
            raise UserError(f"--{flag}={value} should be from 1 to {LARGEST} pixels")
    return ImageSpec(args.size, args.channels, args.fit, args.trim, args.width if args.width != args.size else 0)


def beside(path: str | pathlib.Path, ending: str, flag: str = "target_path") -> pathlib.Path:
    """The path beside a folder that has its name and an ending; of `.` and `..` the folder's own name is taken.

    Raises:
        UserError: if there is no place beside it; it names the `flag` that gives another place.
    """
    path = files.expand(path)
    path = path.resolve() if path.name in ("", "..") else path
    if not path.name:
        raise UserError(f"--{flag} is needed: nothing lies beside {path}")
    return path.with_name(path.name + ending)


def describe_size(spec: ImageSpec) -> str:
    """The sides of an ImageSpec in words: "56 pixels" or "56 x 112 pixels"."""
    height, width, _ = spec.shape
    return f"{height} pixels" if height == width else f"{height} x {width} pixels"


def size_flags(spec: ImageSpec) -> str:
    """The flags of our tools for the sides of an ImageSpec."""
    height, width, _ = spec.shape
    return f"--size={height}" if height == width else f"--size={height} --width={width}"


def training_flags(path: str | pathlib.Path, spec: ImageSpec) -> str:
    """The flags of the command that trains on the shards in a folder, whose images have an ImageSpec."""
    height, width, channels = spec.shape
    values_and_defaults = {"size": (height, 56), "width": (width, height), "channels": (channels, 3)}
    changed = [
        f"--config.data.{key}={value}" for key, (value, default) in values_and_defaults.items() if value != default
    ]
    return " ".join(["--config=configs/wgan56.py", f"--config.data.dir={shlex.quote(str(path))}", *changed])
