"""A creative adversarial network at 56 pixels: logos of no known colour, or whatever the labels are.

python -m logogan_jax.main --config=configs/can56.py
"""

from configs import gan56
from logogan_jax import defaults


def get_config():
    """gan56 whose critic names the label, too, of Elgammal et al. 2017."""
    config = gan56.get_config()
    config.data.labels = True
    config.objective = defaults.block(name="can", critic_updates=1)
    return config
