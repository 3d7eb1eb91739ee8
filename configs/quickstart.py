"""A narrow DCGAN at 28 pixels that draws marks: logos in minutes on a laptop's CPU.

    python -m logogan_jax.main --config=configs/quickstart.py

Expect letters, rings, tiles, emblems and strips like wordmarks, each in one clean colour on white, as in
docs/quickstart.png. It suits logos in one colour on a light ground. For others set --config.mark.inks to the number of
their colours, or to 0 for photographs and gradients.
"""

from logogan_jax.config import defaults


def get_config():
    """A DCGAN that is smaller than dcgan28 in everything that takes time."""
    config = defaults.get_config()
    config.data.size = 28
    config.mark.inks = 1
    config.model = defaults.block(name="dcgan", latent=64, width=16, kernel=4, dropout=0.0)
    # R1 keeps the critic from outrunning the generator: of every fourth image it costs little.
    config.objective = defaults.block(name="gan", critic_updates=1, r1=0.2, lazy=4)
    # High rates suit a short training: with a third of them it learns less (docs/quality.md).
    config.optimizer.generator = defaults.block(name="adam", learning_rate=1.2e-3, b1=0.5, b2=0.999)
    config.optimizer.critic = defaults.block(name="adam", learning_rate=2.4e-3, b1=0.5, b2=0.999)
    config.train.steps = 3_000
    config.train.batch_size = 32
    config.evaluate.update(every_images=32_000, samples=256)  # seconds each on a CPU
    return config
