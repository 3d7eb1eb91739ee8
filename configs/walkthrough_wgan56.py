"""The WGAN-GP script of 2018 with its mistakes, only for comparison with wgan56.

    python -m logogan_jax.main --config=configs/walkthrough_wgan56.py

docs/differences.md shows what each mistake does to the pictures.

About 3.8 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect the same as from
wgan56, less clear. See `walkthrough_wgan` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """wgan56 with one augmented batch for four steps, one norm per batch, three scores per image, no EMA."""
    config = shipped.get_config("wgan56")
    config.data.update(same_batch_for=4, corners="edge")
    config.objective = defaults.block(
        name="walkthrough_wgan", outputs=3, whole_batch=True, low_on_real=True, positive_latents=True
    )
    config.train.ema_images = 1
    config.evaluate.guard = "warn"  # nothing stopped a run in 2018
    return config
