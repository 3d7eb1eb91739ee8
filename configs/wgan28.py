"""WGAN-GP at 28 pixels, with the 5 x 5 filters that the walkthrough used at this size.

    python -m logogan_jax.main --config=configs/wgan28.py

40,000 generator and 200,000 critic updates: 3 to 5 hours on the walkthrough's GPU in 2018. It is meant for an
accelerator; on a CPU use quickstart.

About 30 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect flat-coloured
marks and rings on clean white. See `wgan_gp` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults


def get_config():
    """WGAN-GP without augmentation: the walkthrough had none at 28 pixels."""
    config = defaults.get_config()
    config.data.size = 28
    config.model.kernel = 5
    return config
