"""A creative adversarial network (CAN) at 56 pixels: logos of no known colour, or of no known label of your data.

    python -m logogan_jax.main --config=configs/can56.py

About 16 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect pale or black
marks: the labels are colours, so a logo without a style is a logo without a colour. See `can` in docs/objectives.png
for 2,000 steps at 28 pixels.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """gan56 whose critic also predicts the label: Elgammal et al. 2017."""
    config = shipped.get_config("gan56")
    config.data.labels = True
    config.objective = defaults.block(name="can", critic_updates=1)
    return config
