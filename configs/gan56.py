"""The non-saturating GAN with DCGAN networks at 56 pixels, trained by the Adam of Radford et al.

    python -m logogan_jax.main --config=configs/gan56.py

The simplest config; minimax56, hinge56, lsgan56, cgan56 and can56 are changes of it.

About 16 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and strips that look like wordmarks, on white. See `gan` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults


def get_config():
    """Radford et al. 2016 (arXiv 1511.06434), section 4: Adam with 2e-4 and 0.5; layers of the walkthrough."""
    config = defaults.get_config()
    config.model = defaults.block(name="dcgan", latent=100, width=64, kernel=4, dropout=0.0)
    config.objective = defaults.block(name="gan", critic_updates=1)
    for role in ("generator", "critic"):
        config.optimizer[role] = defaults.block(name="adam", learning_rate=2e-4, b1=0.5, b2=0.999)
    return config
