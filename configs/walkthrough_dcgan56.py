"""The DCGAN script of 2018 with its mistakes, only for comparison with dcgan56.

    python -m logogan_jax.main --config=configs/walkthrough_dcgan56.py

docs/differences.md shows what each mistake does to the pictures.

About 35 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect a few of the 256
logos that it sees, copied again and again. See `walkthrough_dcgan` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """dcgan56 with one augmented batch for the whole run, a critic that trains in both updates, and no EMA."""
    config = shipped.get_config("dcgan56")
    config.data.update(same_batch_for=10_000, corners="edge")
    config.objective = defaults.block(
        name="walkthrough_dcgan", uniform_latents=True, fakes_at_inference=True, critic_in_both_turns=True
    )
    config.optimizer.critic = defaults.block(
        name="rmsprop_by_turns", learning_rate=2e-4, decay=6e-8, second_learning_rate=1e-4, second_decay=3e-8
    )
    config.train.ema_images = 1
    config.evaluate.guard = "warn"  # nothing stopped a run in 2018
    return config
