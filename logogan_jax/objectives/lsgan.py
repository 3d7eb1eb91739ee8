"""Least squares: Mao et al. 2017 (arXiv 1611.04076, equation 9), targets 1 for real and 0 for fake.

    critic:     minimise  ½ (D(x) - 1)² + ½ D(G(z))²
    generator:  minimise  ½ (D(G(z)) - 1)²

A score of ½ is undecided.
"""

from logogan_jax.objectives import adversarial, losses


def lsgan(*, latent, critic_updates=1):
    """The objective, with `critic_updates` critic updates for each of the generator."""
    critic = lambda real, fake: losses.least_squares(real, 1.0) + losses.least_squares(fake, 0.0)
    generator = lambda fake: losses.least_squares(fake, 1.0)
    return adversarial.two_player_objective(
        critic, generator, latent=latent, critic_updates=critic_updates, decision_threshold=0.5
    )
