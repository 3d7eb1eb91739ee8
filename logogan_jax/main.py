"""Train: python -m logogan_jax.main --config=configs/wgan56.py [--workdir=DIR] [--config.train.batch_size=32]."""

import pathlib

from absl import flags
from ml_collections import config_flags

from logogan_jax import cache, command, embedded


def define():
    """The flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to train: a file of configs/", lock_config=True)
    flags.DEFINE_string("workdir", None, "folder of the run; default: runs/<config name>")


def main():
    """The command; heavy imports wait until flags and keys are known to be right."""
    config, name = flags.FLAGS.config, pathlib.Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    embedded.given(config)
    from logogan_jax import train

    cache.compiled_programs()
    train.train(config, flags.FLAGS.workdir or f"runs/{name}")


if __name__ == "__main__":
    command.run(main, define, required=["config"])
