"""The non-saturating GAN of Goodfellow et al. 2014 (arXiv 1406.2661, section 3), as DCGAN trains it.

    critic:     minimise  ½ [ -log D(x)  - log(1 - D(G(z))) ]
    generator:  minimise     -log D(G(z))

D is the sigmoid of the critic's logit; at logit 0 both losses are log 2. The factor ½ makes the critic's loss the
mean over its joint batch of real and fake images, as in Keras and most code since.
"""

from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective


def gan(*, latent: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update."""
    critic = lambda real, fake: 0.5 * (losses.bce_real(real) + losses.bce_fake(fake))
    generator = losses.bce_real
    return adversarial.two_player_objective(critic, generator, latent=latent, critic_updates=critic_updates)
