"""The data set of a config that names none: logos that come with the install."""

from ml_collections import ConfigDict


def set_default_dataset(config: ConfigDict) -> None:
    """Let an empty config.data.dir be the embedded logos at the config's size, drawn now if they are not there yet."""
    if config.data.dir:
        return
    # Imported here, because a config that names its data needs no tool that draws logos.
    from data_prep import make_logos

    data = config.data
    data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))
