"""The non-saturating GAN of Goodfellow et al. 2014 (arXiv 1406.2661), as DCGAN trains it.

    critic:     minimise  ½ [ -log D(x)  - log(1 - D(G(z))) ]
    generator:  minimise     -log D(G(z))

D is the sigmoid of the critic's logit; at logit 0 both losses are log 2.
"""

import jax.numpy as jnp

from logogan_jax import keys as randomness
from logogan_jax import losses
from logogan_jax.objectives.base import Objective, Player


def dcgan(*, latent, critic_updates=1):
    """The objective, with `critic_updates` critic updates for each of the generator."""

    def prior(keys):
        return randomness.normal(keys, (latent,))

    def critic(nets, batch, keys):
        z, drop_generator, drop_real, drop_fake = randomness.split(keys, 4)
        fake = nets.generator(prior(z), keys=drop_generator, train=True)
        # One pass for both: the critic has no batch statistics that would mix them.
        logits = nets.critic(
            jnp.concatenate([batch.image, fake]), keys=jnp.concatenate([drop_real, drop_fake]), train=True
        )
        on_real, on_fake = jnp.split(logits, 2)
        each = 0.5 * (losses.says_real(on_real) + losses.says_fake(on_fake))
        return each, {"real": on_real, "fake": on_fake, "gap": jnp.abs(on_real - on_fake)}

    def generator(nets, batch, keys):
        z, drop_generator, drop_fake = randomness.split(keys, 3)
        fake = nets.generator(prior(z), keys=drop_generator, train=True)
        return losses.says_real(nets.critic(fake, keys=drop_fake, train=True)), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator, reals=False),
        ),
        prior=prior,
    )
