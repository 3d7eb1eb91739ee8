"""The conditional GAN of Mirza & Osindero 2014 (arXiv 1411.1784): `gan` with both networks conditioned on the label.

    critic:     minimise  ½ [ -log D(x|y) - log(1 - D(G(z|y)|y)) ]
    generator:  minimise     -log D(G(z|y)|y)

y is the label of a real image. Other objectives use labels where the data have them; this one requires them.
"""

from logogan_jax.objectives.base import Objective
from logogan_jax.objectives.gan import gan


def cgan(*, latent: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update."""
    return gan(latent=latent, critic_updates=critic_updates)._replace(requires_labels=True)
