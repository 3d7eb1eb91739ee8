"""The data of a config that names none: logos that come with the install."""


def given(config):
    """Let config.data.dir be the embedded logos at the config's size, made if they are not there yet, if it is empty.

    Nothing heavy is imported where it is not.
    """
    if config.data.dir:
        return
    from data_prep import make_logos

    data = config.data
    data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))
