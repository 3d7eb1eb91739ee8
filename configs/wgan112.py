"""WGAN-GP at 112 pixels; its critic has 103 million weights, most of them in one matrix.

    python -m logogan_jax.main --config=configs/wgan112.py

40,000 generator and 200,000 critic updates, 24 hours on the walkthrough's GPU in 2018. Meant for an
accelerator; on a CPU use quickstart. A checkpoint takes about 1.3 GB.
"""

from configs import wgan56


def get_config():
    """wgan56 at twice the size."""
    config = wgan56.get_config()
    config.data.size = 112
    return config
