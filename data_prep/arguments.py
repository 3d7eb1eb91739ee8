"""Flags that several tools share."""

from data_prep.pictures.convert import ImageSpec
from data_prep.pictures.resize import FITS
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import MODES


def add_image_spec(parser, size=None, fit="pad"):
    """Add the flags that say what every image becomes; a size without a default is required."""
    default = f" (default {size})" if size else ""
    add = parser.add_argument
    add("--size", "--height", type=int, default=size, required=not size, help=f"side of the squares in pixels{default}")
    add("--width", type=int, default=0, help="their width where they are not squares; --size is their height then")
    add("--channels", type=int, default=3, choices=sorted(MODES), help="3: RGB (default), 1: grey, 4: keep alpha")
    add(
        "--fit", choices=FITS, default=fit,
        help=f"crop: the largest centred part of that shape; pad: all of it, its background around (default {fit})",
    )  # fmt: skip
    add("--trim", action="store_true", help="first cut off margins of one colour")


def image_spec(args):
    """The ImageSpec of parsed flags."""
    for flag, value in (("size", args.size), ("width", args.width or args.size)):
        if not 1 <= value <= 4096:
            raise UserError(f"--{flag}={value} should be from 1 to 4096 pixels")
    return ImageSpec(args.size, args.channels, args.fit, args.trim, args.width if args.width != args.size else 0)


def describe_size(spec):
    """The sides of an ImageSpec in words."""
    height, width, _ = spec.shape
    return f"{height} pixels" if height == width else f"{height} x {width} pixels"


def size_flags(spec):
    """The flags of our tools that say the sides of an ImageSpec."""
    height, width, _ = spec.shape
    return f"--size={height}" if height == width else f"--size={height} --width={width}"


def training_flags(path, spec):
    """The flags of the command that trains on shards of an ImageSpec."""
    height, width, channels = spec.shape
    values = {"size": (height, 56), "width": (width, height), "channels": (channels, 3)}
    differ = [f"--config.data.{key}={value}" for key, (value, usual) in values.items() if value != usual]
    return " ".join(["--config=configs/wgan56.py", f"--config.data.dir={path}", *differ])
