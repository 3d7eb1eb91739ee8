"""Favicons at 32 pixels as in Sage et al. 2018: WGAN-GP, residual networks, synthetic labels in every layer.

    python -m logogan_jax.main --config=configs/lld_icon32.py --config.data.dir=LLD_ICON_SHARDS

data_prep/README.md has the commands that make the shards of LLD-icon. Without data.dir the config trains on the
embedded logos.

About 11 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect favicons of one
kind for each label.
"""

from logogan_jax.config import defaults


def get_config():
    """The paper's resnet-32 (arXiv 1712.04407): Adam with 2e-4 that falls to 0, five critic updates."""
    config = defaults.get_config()
    config.data.update(size=32, labels=True)
    config.model = defaults.block(name="resnet", latent=128, width=128, conditioning="layers")
    config.train.steps = 100_000
    for role in ("generator", "critic"):
        images = defaults.images_of_run(config)
        config.optimizer[role] = defaults.block(
            name="adam", learning_rate=2e-4, b1=0.0, b2=0.9, anneal="linear", anneal_images=images
        )
    return config
