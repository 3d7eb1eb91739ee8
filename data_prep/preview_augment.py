"""What the networks will see: python -m data_prep.preview_augment --config=configs/wgan56.py --out=preview.png.

Each row of the sheet is one logo of the shards and then its views, made by the very function and keys of training
(keys of the first steps). With a config.augment.policy, as many follow as the critic sees these, real and drawn alike:
at config.augment.strength, or at all of it where that adapts. Any key of the config can be given, such as
--config.data.rotate=5 or --config.augment.policy=logo.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from logogan_jax.core import cli
from logogan_jax.core.errors import UserError

LOGOS, VIEWS = 8, 7  # rows, and views in each


def preview(config):
    """The sheet of a config -> uint8[logos, columns, H, W, C]."""
    import jax
    import numpy as np

    from logogan_jax.core import images, prng
    from logogan_jax.data import augment
    from logogan_jax.data.dataset import TFRecordDataset
    from logogan_jax.distributed import data_parallel
    from logogan_jax.networks import diffaugment

    data, policy = config.data, config.augment.policy
    shards = TFRecordDataset(data.dir, size=_size(data), channels=data.channels)
    count = min(LOGOS, len(shards))
    pixels = np.stack([shards.image(position)[0] for position in range(count)])
    turn = augment.pipeline(
        rotate_degrees=data.rotate, mirror=data.mirror, corners=data.corners, frozen=bool(data.same_batch_for)
    )
    look = diffaugment.parse_policy(policy) if policy else None
    strength = 1.0 if config.augment.adaptive else config.augment.strength

    def seen(step):
        rows = prng.per_example_keys(
            prng.fold_in(jax.random.key(config.train.seed), prng.STEP, step, 0, 0), np.arange(count)
        )
        augment_keys, view_keys = prng.split(rows, 2)
        augmented = turn(augment_keys, images.to_float(pixels))
        shown = [augmented, look(view_keys, augmented, strength)] if look else [augmented]
        return [images.to_uint8(each) for each in shown]

    # One device of training, that has all rows, at each of the first steps.
    at_steps = jax.jit(jax.vmap(jax.vmap(seen, axis_name=data_parallel.AXIS)))
    shown = at_steps(np.arange(VIEWS)[:, None])
    return np.concatenate([pixels[:, None], *(np.asarray(each)[:, 0].swapaxes(0, 1) for each in shown)], axis=1)


def _size(data):
    return data.size, data.width or data.size


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
    data, policy = config.data, config.augment.policy
    if not data.dir:
        from data_prep import make_logos

        data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))
    pixels = preview(config)
    from logogan_jax.core import images

    logos, columns, *shape = pixels.shape
    images.write_png(
        out, images.make_grid(pixels.reshape(-1, *shape), columns), scale=images.display_scale(_size(data))
    )
    critic = f" and as many of what its critic sees through {policy!r}" if policy else ""
    print(f"{logos} logos of {data.dir}, each with {VIEWS} of its views{critic}, are in {out}")


if __name__ == "__main__":
    cli.run(main, define, required=["config", "out"])
