"""The hinge loss: Lim & Ye 2017 (arXiv 1705.02894), Miyato et al. 2018 (arXiv 1802.05957, equations 16 and 17).

    critic:     minimise  max(0, 1 - D(x)) + max(0, 1 + D(G(z)))
    generator:  minimise -D(G(z))

A real image above 1 and a fake one below -1 give the critic no gradient.
"""

from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective


def hinge(*, latent: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update."""
    critic = lambda real, fake: losses.hinge(real) + losses.hinge(-fake)
    generator = lambda fake: -fake
    return adversarial.two_player_objective(critic, generator, latent=latent, critic_updates=critic_updates)
