"""The WGAN-GP script of 2018 with its mistakes, for comparison with wgan56 only.

    python -m logogan_jax.main --config=configs/walkthrough_wgan56.py

docs/differences.md tells what each does to the pictures.

About 3.8 days on two CPU cores (counted: benchmarks/minutes.py); no GPU has been timed yet. Expect what wgan56
draws, less clear; see `walkthrough_wgan` in docs/objectives.png for 2,000 steps of it at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """wgan56 with one turned batch for four steps, one norm for the whole batch, three scores an image, no average."""
    config = shipped.get_config("wgan56")
    config.data.update(same_batch_for=4, corners="edge")
    config.objective = defaults.block(
        name="walkthrough_wgan", outputs=3, whole_batch=True, low_on_real=True, positive_latents=True
    )
    config.train.ema_images = 1
    config.evaluate.guard = "warn"  # nothing stopped a run in 2018
    return config
