"""R3GAN at 112 pixels: r3gan56 with one doubling more.

python -m logogan_jax.main --config=configs/r3gan112.py

About 39 days on two CPU cores (counted: benchmarks/minutes.py); no GPU has been timed yet. Expect what r3gan56
draws, with finer edges.
"""

from logogan_jax.config import shipped


def get_config():
    """A larger image needs a larger penalty."""
    config = shipped.get_config("r3gan56")
    config.data.size = 112
    config.objective.gamma = 5.0
    return config
