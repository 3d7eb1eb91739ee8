"""What the networks will see: python -m data_prep.preview_augment --config=configs/wgan56.py --out=preview.png.

Each row of the picture is one logo of the shards, and then seven augmented views of it, made by the function and with
the keys of the first training steps. With a config.augment.policy, seven more show what the critic sees of these: with
probability config.augment.strength, the highest one if it is adaptive. Of marks in colours of the data it sees the
coverage alone, which is shown in black. Any key of the config can be given, such as --config.data.rotate=5 or
--config.augment.policy=logo.
"""

from typing import Any

import numpy as np
from absl import flags
from ml_collections import config_flags

from logogan_jax.core import cli, files, outputs
from logogan_jax.core.errors import UserError

LOGOS = 8  # rows
VIEWS = 7  # augmented views in each row, of each kind


def preview(config: Any) -> np.ndarray:
    """Pixels uint8[logos, columns, H, W, C]: each logo, its augmented views, and with a policy what the critic sees."""
    import jax  # here, so that --help and mistakes in the flags need not wait for it

    from logogan_jax.core import images, prng
    from logogan_jax.data import augment
    from logogan_jax.data.dataset import TFRecordDataset
    from logogan_jax.distributed import data_parallel
    from logogan_jax.networks import diffaugment, mark

    data = config.data
    policy = config.augment.policy
    dataset = TFRecordDataset(data.dir, size=_size(data), channels=data.channels)
    count = min(LOGOS, len(dataset))
    pixels = dataset.images(np.arange(count))[0]
    augment_real = augment.pipeline(
        rotate_degrees=data.rotate, mirror=data.mirror, corners=data.corners, frozen=bool(data.same_batch_for)
    )
    has_inks = mark.has_inks_of_data(config.mark.inks, config.mark.colours, config.optimizer.keys())
    view = mark.training_view(data.channels, has_inks)
    augment_seen = diffaugment.parse_policy(policy, view.outside) if policy else None
    strength = config.augment.strength

    def views(step: jax.Array) -> list[jax.Array]:
        key = prng.fold_in(jax.random.key(config.train.seed), prng.STEP, step, 0, 0)
        real_keys, seen_keys = prng.split(prng.per_example_keys(key, np.arange(count)), 2)
        augmented = augment_real(real_keys, jax.numpy.asarray(images.to_float(pixels)))
        shown = [augmented]
        if augment_seen:
            shown.append(view.show(augment_seen(seen_keys, view.of(augmented), strength)))
        return [images.to_uint8(each) for each in shown]

    # The outer vmap is over steps; the inner one stands for one device of training, which has all rows.
    views_of_steps = jax.jit(jax.vmap(jax.vmap(views, axis_name=data_parallel.AXIS)))
    columns = [np.asarray(view)[:, 0].swapaxes(0, 1) for view in views_of_steps(np.arange(VIEWS)[:, None])]
    return np.concatenate([pixels[:, None], *columns], axis=1)


def _size(data: Any) -> tuple[int, int]:
    return data.size, data.width or data.size


def define() -> None:
    """Define the flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what will be trained: a file of configs/", lock_config=True)
    flags.DEFINE_string("out", None, "PNG to write")


def main() -> None:
    """Run the command."""
    config = flags.FLAGS.config
    out = files.expand(flags.FLAGS.out)
    if not out.parent.is_dir() or out.suffix.lower() != ".png":
        raise UserError(f"--out={out} should be a .png in an existing folder")
    outputs.file_to_write("out", out)
    if out.exists():
        raise UserError(f"--out={out} exists already: remove it or choose another name")
    data = config.data
    policy = config.augment.policy
    if not data.dir:
        from data_prep import make_logos

        data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))
    pixels = preview(config)
    from logogan_jax.core import images

    logos, columns, *shape = pixels.shape
    images.write_png(
        out, images.make_grid(pixels.reshape(-1, *shape), columns), scale=images.display_scale(_size(data))
    )
    critic = f" and {VIEWS} of what the critic sees with the policy {policy!r}" if policy else ""
    print(f"{logos} logos of {data.dir}, each with {VIEWS} augmented views{critic}, are in {out}")


if __name__ == "__main__":
    cli.run(main, define, required=["config", "out"])
