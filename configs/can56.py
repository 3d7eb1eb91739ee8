"""A creative adversarial network at 56 pixels: logos of no known colour, or whatever the labels are.

python -m logogan_jax.main --config=configs/can56.py

About 16 hours on two CPU cores (counted: benchmarks/minutes.py); no GPU has been timed yet. Expect pale or black
marks: with colours for labels, to be of no style is to be of no colour; see `can` in docs/objectives.png for 2,000
steps of it at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 whose critic names the label, too, of Elgammal et al. 2017."""
    config = shipped.get_config("gan56")
    config.data.labels = True
    config.objective = defaults.block(name="can", critic_updates=1)
    return config
