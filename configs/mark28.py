"""Marks at 28 pixels: the quickstart's networks, twice as wide, trained much longer.

    python -m logogan_jax.main --config=configs/mark28.py

About 30 minutes on two CPU cores (estimated by benchmarks/minutes.py); two of an AMD EPYC server took 35, as
benchmarks/results/flagships-cpu.json says. No GPU has been timed yet. Expect discs, rings, hexagons, tiles with a sign,
single letters, and strips like wordmarks, many of them symmetric, as in docs/mark28.png.
"""

from logogan_jax.config import shipped


def get_config():
    """mark56 at half the size, with a field value for each pixel, and more steps, as they cost less."""
    config = shipped.get_config("mark56")
    config.data.size = 28
    config.mark.scale = 1
    config.objective.r1 = 0.2  # the quickstart's
    config.train.steps = 28_000
    config.optimizer.generator.learning_rate = 6e-4
    config.optimizer.critic.learning_rate = 1.2e-3
    return config
