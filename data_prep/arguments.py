"""Flags that several tools share."""

from data_prep.pictures.convert import Frame
from data_prep.pictures.square import FITS
from logogan_jax.data.shards import MODES
from logogan_jax.errors import UserError


def add_frame(parser, size=None, fit="pad"):
    """Add the flags that say what every image becomes; a size without a default is required."""
    default = f" (default {size})" if size else ""
    add = parser.add_argument
    add("--size", "--height", type=int, default=size, required=not size, help=f"side of the squares in pixels{default}")
    add("--channels", type=int, default=3, choices=sorted(MODES), help="3: RGB (default), 1: grey, 4: keep alpha")
    add(
        "--fit", choices=FITS, default=fit,
        help=f"crop: the largest centred square; pad: all of it, its background around (default {fit})",
    )  # fmt: skip
    add("--trim", action="store_true", help="first cut off margins of one colour")


def frame(args):
    """The Frame of parsed flags."""
    if not 1 <= args.size <= 4096:
        raise UserError(f"--size={args.size} should be from 1 to 4096 pixels")
    return Frame(args.size, args.channels, args.fit, args.trim)
