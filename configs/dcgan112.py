"""DCGAN at 112 pixels: dcgan56 with one more doubling, as the walkthrough suggests.

    python -m logogan_jax.main --config=configs/dcgan112.py

10,000 updates of each network at batch size 256. It is meant for an accelerator; on a CPU use quickstart.

About 4.9 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and strips that look like wordmarks. Some are rotated or mirrored, as the training images are.
"""

from logogan_jax.config import shipped


def get_config():
    """dcgan56 at twice the size."""
    config = shipped.get_config("dcgan56")
    config.data.size = 112
    return config
