"""DCGAN at 56 pixels: the walkthrough's first model.

    python -m logogan_jax.main --config=configs/dcgan56.py

10,000 updates of each network at batch size 256. It is meant for an accelerator; on a CPU use quickstart.

About 33 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and strips that look like wordmarks. Some are rotated or mirrored, as the training images are.
"""

from logogan_jax.config import defaults


def get_config():
    """The walkthrough's layers, RMSprop learning rates and augmentation."""
    config = defaults.get_config()
    config.data.rotate = 20.0
    config.data.mirror = True
    config.model = defaults.block(name="dcgan", latent=100, width=64, kernel=6, dropout=0.4)
    config.objective = defaults.block(name="gan", critic_updates=1)
    config.optimizer.generator = defaults.block(name="rmsprop", learning_rate=1e-4, decay=3e-8)
    config.optimizer.critic = defaults.block(name="rmsprop", learning_rate=2e-4, decay=6e-8)
    config.train.steps = 10_000
    config.train.batch_size = 256
    return config
