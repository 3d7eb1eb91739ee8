"""The data set of a config that names none: logos that come with the install."""

import pathlib

from ml_collections import ConfigDict

from logogan_jax.core import files

_NAME = "simple-icons-"  # with which the folders of embedded logos begin


def set_default_dataset(config: ConfigDict) -> None:
    """Let an empty config.data.dir be the embedded logos at the config's size, drawn now if they are not there yet."""
    if config.data.dir:
        return
    # Imported here, because a config that names its data needs no tool that draws logos.
    from data_prep import make_logos

    data = config.data
    data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))


def is_embedded(folder: str) -> bool:
    """Return whether a config.data.dir is one that `set_default_dataset` has set, here or on another machine."""
    return pathlib.Path(folder).name.startswith(_NAME)


def portable(folder: str) -> str:
    """Return a config.data.dir as other machines understand it: of embedded logos the name alone."""
    return pathlib.Path(folder).name if is_embedded(folder) else folder


def replace_missing(config: ConfigDict) -> None:
    """Let a config.data.dir of embedded logos that is not on this machine be the folder of this machine."""
    folder = config.data.dir
    if is_embedded(folder) and not files.expand(folder).is_dir():
        config.data.dir = ""
        set_default_dataset(config)
