"""What the networks will see: python -m data_prep.preview_augment --config=configs/wgan56.py --out=preview.png.

Each row of the sheet is one logo of the shards and then its views, made by the very function and keys
of training (keys of the first steps). Any key of the config can be given, such as --config.data.rotate=5.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from logogan_jax import command
from logogan_jax.errors import UserError

LOGOS, VIEWS = 8, 7  # rows, and views in each


def preview(config):
    """The sheet of a config -> uint8[LOGOS * (1 + VIEWS), S, S, C], row by row."""
    import jax
    import numpy as np

    from logogan_jax import augment, images, keys
    from logogan_jax.data.shards import Shards

    data = config.data
    shards = Shards(data.dir, size=data.size, channels=data.channels)
    count = min(LOGOS, len(shards))
    pixels = np.stack([shards.image(position)[0] for position in range(count)])
    view = jax.jit(augment.pipeline(rotate_degrees=data.rotate, mirror=data.mirror))

    def seen(step):
        rows = keys.rows(keys.at(jax.random.key(config.train.seed), keys.STEP, step, 0, 0), np.arange(count))
        return images.to_uint8(view(keys.split(rows, 2)[0], images.to_float(pixels)))

    columns = [pixels, *(np.asarray(seen(step)) for step in range(VIEWS))]
    return np.stack(columns, axis=1).reshape(-1, *shards.shape)


def define():
    """The flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what will be trained: a file of configs/", lock_config=True)
    flags.DEFINE_string("out", None, "PNG to write")


def main():
    """The command."""
    config, out = flags.FLAGS.config, pathlib.Path(flags.FLAGS.out).expanduser()
    if not out.parent.is_dir() or out.suffix.lower() != ".png":
        raise UserError(f"--out={out} should be a .png in a folder that is there")
    if out.exists():
        raise UserError(f"--out={out} is there already: remove it or choose another name")
    if not config.data.dir:
        from data_prep import make_logos

        config.data.dir = str(make_logos.embedded(size=config.data.size, channels=config.data.channels))
    pixels = preview(config)
    from logogan_jax import images

    images.write_png(out, images.tile(pixels, columns=1 + VIEWS), scale=max(1, 112 // config.data.size))
    print(f"{len(pixels) // (1 + VIEWS)} logos of {config.data.dir}, each with {VIEWS} of its views, are in {out}")


if __name__ == "__main__":
    command.run(main, define, required=["config", "out"])
