"""Least squares: Mao et al. 2017 (arXiv 1611.04076, equation 9), targets 1 for real and 0 for fake.

    critic:     minimise  ½ (D(x) - 1)² + ½ D(G(z))²
    generator:  minimise  ½ (D(G(z)) - 1)²

The decision threshold is a score of ½.
"""

from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective


def lsgan(*, latent: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update."""
    critic = lambda real, fake: losses.least_squares(real, 1.0) + losses.least_squares(fake, 0.0)
    generator = lambda fake: losses.least_squares(fake, 1.0)
    return adversarial.two_player_objective(
        critic, generator, latent=latent, critic_updates=critic_updates, decision_threshold=0.5
    )
