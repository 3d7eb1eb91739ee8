"""A conditional GAN at 56 pixels: draws logos of the label that you ask for.

    python -m logogan_jax.main --config=configs/cgan56.py
    python -m logogan_jax.sample --workdir=runs/cgan56 --label=blue --out=drawn

The embedded logos are labelled by the colour of their brand.

About 16 hours on two CPU cores (counted: benchmarks/minutes.py); no GPU has been timed yet. Expect each label in
its colour, in many shapes; see `cgan` in docs/objectives.png for 2,000 steps of it at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 told of labels as Mirza & Osindero 2014 (arXiv 1411.1784) tell them: beside z, and as maps on the image."""
    config = shipped.get_config("gan56")
    config.data.labels = True
    config.model.conditioning = "concatenation"
    config.objective = defaults.block(name="cgan", critic_updates=1)
    return config
