"""A variational autoencoder (VAE) at 56 pixels.

    python -m logogan_jax.main --config=configs/vae56.py
    python -m logogan_jax.sample --workdir=runs/vae56 --reconstruct --out=reconstructed

About 4.7 hours on two CPU cores (estimated by benchmarks/minutes.py); no GPU has been timed yet. Expect soft, blurred
marks, and reconstructions of logos that it never saw. docs/reconstructions.png shows both.
"""

from logogan_jax.config import defaults


def get_config():
    """The DCGAN generator is the decoder; Adam with 1e-3, as is usual since Kingma & Welling."""
    config = defaults.get_config()
    config.model = defaults.block(name="dcgan", latent=100, width=64, kernel=4, dropout=0.0)
    config.objective = defaults.block(name="vae", beta=1.0, deviation=0.2)
    adam = defaults.block(name="adam", learning_rate=1e-3, b1=0.9, b2=0.999)
    config.optimizer = defaults.block(generator=adam, encoder=adam)
    config.train.steps = 20_000
    return config
