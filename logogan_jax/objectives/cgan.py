"""The conditional GAN of Mirza & Osindero 2014 (arXiv 1411.1784): `gan` where both networks are told the label.

    critic:     minimise  ½ [ -log D(x|y) - log(1 - D(G(z|y)|y)) ]
    generator:  minimise     -log D(G(z|y)|y)

y is the label of a real image. Other objectives use labels where the data have some; this one asks for them.
"""

from logogan_jax.objectives.gan import gan


def cgan(*, latent, critic_updates=1):
    """The objective, with `critic_updates` critic updates for each of the generator."""
    return gan(latent=latent, critic_updates=critic_updates)._replace(requires_labels=True)
