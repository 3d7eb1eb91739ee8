"""The minimax GAN of Goodfellow et al. 2014 at 56 pixels.

    python -m logogan_jax.main --config=configs/minimax56.py

For comparison with gan56: the generator's gradient vanishes where the critic is certain.

About 16 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and strips that look like wordmarks, on white. See `minimax` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 with the minimax loss of the generator."""
    config = shipped.get_config("gan56")
    config.objective = defaults.block(name="minimax", critic_updates=1)
    return config
