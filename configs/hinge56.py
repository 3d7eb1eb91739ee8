"""The hinge loss with spectral normalisation at 56 pixels: SN-GAN.

python -m logogan_jax.main --config=configs/hinge56.py
"""

from configs import gan56
from logogan_jax import defaults


def get_config():
    """gan56 with the margin loss and the normalisation of Miyato et al. 2018 (arXiv 1802.05957)."""
    config = gan56.get_config()
    config.model.spectral = True
    config.objective = defaults.block(name="hinge", critic_updates=1)
    return config
