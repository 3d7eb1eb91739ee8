"""WGAN-GP at 56 pixels: the walkthrough's main model.

    python -m logogan_jax.main --config=configs/wgan56.py

40,000 generator and 200,000 critic updates: 15 hours on the walkthrough's GPU in 2018. It is meant for an accelerator;
on a CPU use quickstart.

About 3.8 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect flat-coloured
marks and rings on clean white, some rotated or mirrored. See `wgan_gp` in docs/objectives.png for 2,000 steps at 28
pixels.
"""

from logogan_jax.config import defaults


def get_config():
    """The defaults, which are this model, with the walkthrough's rotation and mirroring."""
    config = defaults.get_config()
    config.data.rotate = 20.0
    config.data.mirror = True
    return config
