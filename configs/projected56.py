"""Projected GAN at 56 pixels: its critic looks through EfficientNet-Lite0, which is not trained. It draws marks.

    python -m logogan_jax.main --config=configs/projected56.py

About 2.1 days on two CPU cores (estimated by benchmarks/minutes.py, and more where EfficientNet's filters are slow); no
GPU has been timed yet. Expect smooth marks; see `projected` in docs/objectives.png for 2,000 steps at 28 pixels, in
colours that a network made. The best checkpoint may come long before the end. A second network judges the pictures:
docs/metrics.md says how to install it.
"""

from logogan_jax.config import defaults


def get_config():
    """Sauer et al. 2021 with its batch, optimizers and augmentation."""
    config = defaults.get_config()
    config.mark.inks = 1
    config.model = defaults.block(name="projected", latent=128, width=64, kernel=4, dropout=0.0)
    config.objective = defaults.block(name="projected", critic_updates=1)
    config.augment.policy = "logo"
    config.optimizer.generator = defaults.block(name="adam", learning_rate=2e-4, b1=0.0, b2=0.99)
    config.optimizer.critic = defaults.block(name="adam", learning_rate=2e-4, b1=0.0, b2=0.99)
    config.train.steps = 20_000
    config.evaluate.features = "ppocr"
    return config
