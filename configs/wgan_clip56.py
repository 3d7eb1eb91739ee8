"""The Wasserstein GAN with clipped weights at 56 pixels; wgan56 has a gradient penalty instead.

    python -m logogan_jax.main --config=configs/wgan_clip56.py

About 2.4 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect bold shapes in
unmixed colours, which become clear later than with a penalty. See `wgan` in docs/objectives.png for 2,000 steps at 28
pixels.
"""

from logogan_jax.config import defaults


def get_config():
    """Arjovsky et al. 2017, algorithm 1: RMSprop with 5e-5 for both, five critic updates, weights clipped to 0.01."""
    config = defaults.get_config()
    config.objective = defaults.block(name="wgan", critic_updates=5, clip=0.01)
    for role in ("generator", "critic"):
        config.optimizer[role] = defaults.block(name="rmsprop", learning_rate=5e-5)
    return config
