"""DCGAN at 28 pixels: dcgan56 with one doubling fewer, as the walkthrough tells its reader to make it.

    python -m logogan_jax.main --config=configs/dcgan28.py

10,000 updates of each network at batch 256. Meant for an accelerator; on a CPU use quickstart.

About 11 hours on two CPU cores (counted: benchmarks/minutes.py); no GPU has been timed yet. Expect coloured marks,
rings and wordmark-like strips, some turned or mirrored, as the images are.
"""

from logogan_jax.config import shipped


def get_config():
    """dcgan56 at half the size."""
    config = shipped.get_config("dcgan56")
    config.data.size = 28
    return config
