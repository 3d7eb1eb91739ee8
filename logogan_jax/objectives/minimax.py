"""The minimax game of Goodfellow et al. 2014 (arXiv 1406.2661, equation 1), whose generator saturates.

    critic:     minimise  -log D(x) - log(1 - D(G(z)))
    generator:  minimise   log(1 - D(G(z)))

D is the sigmoid of the critic's logit. Where the critic is sure of a fake the generator's gradient vanishes, which
is why the same paper trains the loss of `gan` instead.
"""

from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective


def minimax(*, latent: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update."""
    critic = lambda real, fake: losses.bce_real(real) + losses.bce_fake(fake)
    generator = lambda fake: -losses.bce_fake(fake)
    return adversarial.two_player_objective(critic, generator, latent=latent, critic_updates=critic_updates)
