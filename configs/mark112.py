"""Marks at 112 pixels, drawn from fields of 56 x 56 by R3GAN's networks: minutes on a GPU.

python -m logogan_jax.main --config=configs/mark112.py
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """r3gan112 that draws marks, with narrower networks and larger batches."""
    config = shipped.get_config("r3gan112")
    config.mark.inks = 1
    config.mark.scale = 2
    config.model = defaults.block(name="r3gan", latent=64, width=32, blocks=2, expansion=1)
    # Of fewer images, with as many times the weight: a fraction of the cost.
    config.objective.update(gamma=3.2, lazy=4)
    config.train.update(steps=20_000, batch_size=128)
    return config
