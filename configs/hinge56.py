"""SN-GAN at 56 pixels: the hinge loss with spectral normalisation.

    python -m logogan_jax.main --config=configs/hinge56.py

About 16 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and strips that look like wordmarks, on white. See `hinge` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 with the hinge loss and spectral normalisation of Miyato et al. 2018 (arXiv 1802.05957)."""
    config = shipped.get_config("gan56")
    config.model.spectral = True
    config.objective = defaults.block(name="hinge", critic_updates=1)
    return config
