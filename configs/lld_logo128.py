"""Logos at 128 pixels as in Sage et al. 2018: WGAN-GP, the deeper residual networks, synthetic labels.

    python -m logogan_jax.main --config=configs/lld_logo128.py --config.data.dir=LLD_LOGO_SHARDS

data_prep/README.md has the commands that make the shards of LLD-logo. Without data.dir the config trains on the
embedded logos.

About 87 days on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect logos of one kind
for each label.
"""

from logogan_jax.config import shipped


def get_config():
    """The paper's resnet-128: all widths follow from 64."""
    config = shipped.get_config("lld_icon32")
    config.data.size = 128
    config.model.width = 64
    return config
