"""A conditional GAN at 56 pixels: draws logos of the label that you ask for.

    python -m logogan_jax.main --config=configs/cgan56.py
    python -m logogan_jax.sample --workdir=runs/cgan56 --label=blue --out=drawn

The labels of the embedded logos are the colours of their brands.

About 16 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect logos in the
colour of their label, in many shapes. See `cgan` in docs/objectives.png for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 with labels as in Mirza & Osindero 2014 (arXiv 1411.1784): next to z, and as maps on the image."""
    config = shipped.get_config("gan56")
    config.data.labels = True
    config.model.conditioning = "concatenation"
    config.objective = defaults.block(name="cgan", critic_updates=1)
    return config
