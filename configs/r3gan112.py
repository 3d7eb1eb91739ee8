"""R3GAN at 112 pixels: r3gan56 with one more doubling.

    python -m logogan_jax.main --config=configs/r3gan112.py

About 39 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect the same as from
r3gan56, with finer edges.
"""

from logogan_jax.config import shipped


def get_config():
    """r3gan56 with a larger penalty, which a larger image needs."""
    config = shipped.get_config("r3gan56")
    config.data.size = 112
    config.objective.gamma = 5.0
    return config
