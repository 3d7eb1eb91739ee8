"""Generative latent optimisation (GLO) at 56 pixels: one learned code per logo, and no critic.

    python -m logogan_jax.main --config=configs/glo56.py
    python -m logogan_jax.sample --workdir=runs/glo56 --reconstruct --out=reconstructed

About 3.5 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect sharp
reconstructions of the training logos and softer new logos. See docs/reconstructions.png.
"""

from logogan_jax.config import defaults


def get_config():
    """Bojanowski et al. 2018: the codes have a higher learning rate than the generator."""
    config = defaults.get_config()
    config.model = defaults.block(name="dcgan", latent=100, width=64, kernel=4, dropout=0.0)
    config.objective = defaults.block(name="glo")
    config.optimizer = defaults.block(
        generator=defaults.block(name="adam", learning_rate=1e-3, b1=0.5, b2=0.999),
        codes=defaults.block(name="adam", learning_rate=3e-3, b1=0.5, b2=0.999),
    )
    config.train.steps = 20_000
    return config
