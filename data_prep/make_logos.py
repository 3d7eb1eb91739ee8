"""Logos to train on, in one command: python -m data_prep.make_logos --size=56

Without --source, it draws the 3,255 brand logos of simple-icons that are free to use, as training does when
config.data.dir is empty. --source=fontawesome draws the icons of Font Awesome, black on white. --source=FILE draws an
icon set: the tarball of `npm pack @iconify-json/logos`, its JSON, or a zip of pictures. --source=FOLDER takes any
folder of images.
"""

import argparse
import importlib.metadata
import pathlib
from collections.abc import Sequence

from data_prep import arguments, icon_sets, write_tfrecords
from data_prep.folder_items import FolderItems
from data_prep.pictures.convert import ImageSpec
from logogan_jax.core import cache, errors, files
from logogan_jax.core.errors import UserError
from logogan_jax.data.png import MODES


def embedded_logos(*, size: int, width: int = 0, channels: int) -> pathlib.Path:
    """The folder, in the user's cache, with shards of the embedded logos; they are made on the first call."""
    version = importlib.metadata.version("simple-icons-pack")
    spec = ImageSpec(size, channels, width=0 if width == size else width)
    sides = f"{size}x{width or size}"
    target = cache.path("data", f"simple-icons-{version}-{sides}-{MODES[channels].lower()}")
    if not (target / "metadata.json").exists():
        cache.make_folder("data")
        print(f"Drawing the embedded logos at {arguments.describe_size(spec)}, once, into {target}")
        try:
            _simple_icons(target, spec)
        except UserError:
            # Two first runs may draw at the same time: the one that waited finds the shards complete.
            if not (target / "metadata.json").exists():
                raise
    return target


def make_dataset(source: str, target: str | pathlib.Path, spec: ImageSpec) -> write_tfrecords.Totals:
    """Write the shards of a source (see the module's docstring) into the new folder `target`."""
    if source == "simple-icons":
        return _simple_icons(target, spec)
    if source == "fontawesome":
        items, labels = icon_sets.font_awesome()
        name = "font_awesome"
        description = "Icons of Font Awesome Free (CC-BY-4.0), black on white."
    elif files.expand(source).is_file():
        items = icon_sets.read_archive(source)
        labels = []
        name = write_tfrecords.dataset_name(source.split(".")[0])
        description = "Drawings of an icon set."
    else:
        items = FolderItems(source, flag="source")
        labels = items.labels
        name = write_tfrecords.dataset_name(source)
        description = "Images of a folder."
    return write_tfrecords.write(items, target, spec=spec, name=name, labels=labels, description=description)


def _simple_icons(target: str | pathlib.Path, spec: ImageSpec) -> write_tfrecords.Totals:
    return write_tfrecords.write(
        icon_sets.simple_icons(), target, spec=spec, name="simple_icons", labels=icon_sets.COLOURS,
        description="Brand logos of simple-icons (CC0-1.0), in brand colours.",
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.make_logos", description=arguments.summary(__doc__))
    parser.add_argument(
        "--source", default="simple-icons",
        help="simple-icons (default), fontawesome, an icon set (.tgz, .json, .json.xz, .zip), or a folder of images",
    )  # fmt: skip
    parser.add_argument("--target_path", help="new folder for the shards (default for simple-icons: the user's cache)")
    arguments.add_image_spec(parser, size=56)
    args = parser.parse_args(argv, argparse.Namespace(augment=None))
    with errors.exit_on_error():
        spec = arguments.image_spec(args)
        if args.target_path:
            print(write_tfrecords.report(make_dataset(args.source, args.target_path, spec), args.target_path, args))
        elif args.source != "simple-icons":
            raise UserError(f"--source={args.source} needs --target_path=FOLDER for the shards")
        elif spec != ImageSpec(args.size, args.channels, width=spec.width):
            raise UserError("--fit and --trim need --target_path=FOLDER: the cache holds the logos without them")
        else:
            print(f"The logos are in {embedded_logos(size=args.size, width=args.width, channels=args.channels)}")


if __name__ == "__main__":
    main()
