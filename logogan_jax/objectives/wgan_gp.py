"""WGAN with gradient penalty: Gulrajani et al. 2017 (arXiv 1704.00028), algorithm 1.

    critic:     minimise  D(G(z)) - D(x) + λ (‖∇ D(x̂)‖ - 1)²,   x̂ = ε x + (1 - ε) G(z),  ε ~ U[0, 1)
    generator:  minimise -D(G(z))

The penalty is one number per image, the norm of that image's own gradient; the critic scores reals
high. `wasserstein` in the log is D(x) - D(G(z)), the estimate of the distance.
"""

import jax.numpy as jnp

from logogan_jax import keys as randomness
from logogan_jax import losses
from logogan_jax.objectives.base import Objective, Player


def wgan_gp(*, latent, critic_updates=5, penalty=10.0):
    """The objective, with `critic_updates` critic updates per generator update and penalty weight λ."""

    def prior(keys):
        return randomness.normal(keys, (latent,))

    def critic(nets, batch, keys):
        z, mixing, drop_generator, drop_critic = randomness.split(keys, 4)
        real, fake = batch.image, nets.generator(prior(z), keys=drop_generator, train=True)
        both = nets.critic(jnp.concatenate([real, fake]), keys=jnp.concatenate([drop_critic, drop_critic]), train=True)
        on_real, on_fake = jnp.split(both, 2)
        between = losses.mix(real, fake, randomness.uniform(mixing))
        score = lambda x: nets.critic(x, keys=drop_critic, train=True)
        norm = losses.gradient_norm(score, between)
        distance = on_real - on_fake
        notes = {"wasserstein": distance, "gradient_norm": norm, "gap": jnp.abs(distance)}
        return penalty * losses.one_centred(norm) - distance, notes

    def generator(nets, batch, keys):
        z, drop_generator, drop_critic = randomness.split(keys, 3)
        fake = nets.generator(prior(z), keys=drop_generator, train=True)
        return -nets.critic(fake, keys=drop_critic, train=True), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator, reals=False),
        ),
        prior=prior,
        independent=("critic",),
    )
