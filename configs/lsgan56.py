"""The least-squares GAN at 56 pixels.

python -m logogan_jax.main --config=configs/lsgan56.py
"""

from configs import gan56
from logogan_jax import defaults


def get_config():
    """gan56 with the losses of Mao et al. 2017."""
    config = gan56.get_config()
    config.objective = defaults.block(name="lsgan", critic_updates=1)
    return config
