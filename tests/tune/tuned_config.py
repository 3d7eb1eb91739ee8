"""A config whose trials fake_training.py can run."""

from logogan_jax.config import defaults
from logogan_jax.tune.search_space import even, log


def get_config():
    config = defaults.get_config()
    config.train.steps = 4 * 2000
    return config


def ranges():
    return {"optimizer.critic.learning_rate": log(1e-5, 1e-3), "objective.critic_updates": even(1, 5)}
