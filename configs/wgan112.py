"""WGAN-GP at 112 pixels. The critic has 103 million weights, most of them in one matrix.

    python -m logogan_jax.main --config=configs/wgan112.py

40,000 generator and 200,000 critic updates: 24 hours on the walkthrough's GPU in 2018. It is meant for an accelerator;
on a CPU use quickstart. A checkpoint takes about 1.3 GB.

About 15 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect flat-coloured
marks and rings on clean white, some rotated or mirrored. See `wgan_gp` in docs/objectives.png for 2,000 steps at 28
pixels.
"""

from logogan_jax.config import shipped


def get_config():
    """wgan56 at twice the size."""
    config = shipped.get_config("wgan56")
    config.data.size = 112
    return config
