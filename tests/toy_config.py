"""A config of the networks of toy_networks.py, for commands that tests start with --config.data.dir."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent))
from toy_networks import TOY

from logogan_jax.config import defaults
from logogan_jax.networks import NETWORKS

NETWORKS["toy"] = TOY


def get_config():
    """Four steps at 28 pixels, in batches of eight."""
    config = defaults.get_config()
    config.data.size = 28
    config.model = defaults.block(name="toy", latent=8, width=16)
    config.objective = defaults.block(name="gan", critic_updates=1)
    config.train.update(steps=4, batch_size=8)
    config.report.update(log_every=2, samples_every=4, checkpoint_every=2)
    return config
