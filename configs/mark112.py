"""Marks at 112 pixels, drawn from fields of 56 x 56: the networks of mark56, twice as wide, for a GPU.

    python -m logogan_jax.main --config=configs/mark112.py

About 2.1 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet, and logogan_jax.plan
predicts how long one takes. Nobody has trained it to its end. Expect the same as from mark56, with finer shapes.
"""

from logogan_jax.config import shipped


def get_config():
    """mark56 at twice its size and width, with lower rates and many more images."""
    config = shipped.get_config("mark56")
    config.data.size = 112
    config.model.width = 64
    config.objective.r1 = 3.2  # four times that of mark56, as there are four times the pixels
    config.optimizer.generator.learning_rate = 2.5e-4
    config.optimizer.critic.learning_rate = 5e-4
    config.train.update(steps=30_000, batch_size=128)
    config.evaluate.update(every_images=128_000, samples=1_024)
    return config
