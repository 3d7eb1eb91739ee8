"""The least-squares GAN (LSGAN) at 56 pixels.

    python -m logogan_jax.main --config=configs/lsgan56.py

About 16 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and strips that look like wordmarks, on white. See `lsgan` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 with the losses of Mao et al. 2017."""
    config = shipped.get_config("gan56")
    config.objective = defaults.block(name="lsgan", critic_updates=1)
    return config
