"""R3GAN at 56 pixels: residual networks without normalisation, a relativistic loss, and the penalties R1 and R2.

    python -m logogan_jax.main --config=configs/r3gan56.py

About 9.2 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect clear, varied
marks on white. See `r3gan` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults


def get_config():
    """Huang et al. 2024: Adam without momentum, rates that fall by a cosine, augmentations that suit logos."""
    config = defaults.get_config()
    config.augment.policy = "logo"
    config.model = defaults.block(name="r3gan", latent=64, width=64, blocks=2, expansion=1)
    config.objective = defaults.block(name="r3gan", critic_updates=1, gamma=1.0, lazy=1)
    for role in ("generator", "critic"):
        images = defaults.images_of_run(config)
        config.optimizer[role] = defaults.block(
            name="adam", learning_rate=2e-4, b1=0.0, b2=0.99, anneal="cosine", anneal_images=images, final=0.25
        )
    return config
