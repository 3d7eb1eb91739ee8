"""WGAN with gradient penalty: Gulrajani et al. 2017 (arXiv 1704.00028), algorithm 1.

    critic:     minimise  D(G(z)) - D(x) + λ (‖∇ D(x̂)‖ - 1)²,   x̂ = ε x + (1 - ε) G(z),  ε ~ U[0, 1)
    generator:  minimise -D(G(z))

The penalty is one number per image, the norm of that image's own gradient; the critic scores reals
high. `wasserstein` in the log is D(x) - D(G(z)), the estimate of the distance.
"""

import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective, Player


def wgan_gp(*, latent, critic_updates=5, penalty=10.0, lazy=1):
    """The objective, with `critic_updates` critic updates per generator update and penalty weight λ.

    The penalty looks at every `lazy`-th image between, with `lazy` times the weight.
    """
    prior = adversarial.normal_prior(latent)

    def critic(nets, batch, keys):
        z, mixing, drop_generator, drop_critic = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        on_real, on_fake = adversarial.score_pair(nets, batch, fake, drop_critic, drop_critic)
        between = losses.interpolate(batch.image, fake, prng.uniform(mixing))

        def slope(images, label, drop):
            norm = losses.gradient_norm(lambda x: nets.critic(x, label, keys=drop, train=True), images)
            return norm, losses.two_sided_penalty(norm)

        norm, price = losses.lazy_regularization(lazy, slope, between, batch.label, drop_critic)
        distance = on_real - on_fake
        notes = {"wasserstein": distance, "gradient_norm": norm, "gap": jnp.abs(distance)}
        return penalty * price - distance, notes

    def generator(nets, batch, keys):
        z, drop_generator, drop_critic = prng.split(keys, 3)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        return -nets.critic(fake, batch.label, keys=drop_critic, train=True), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator, uses_real_images=False),
        ),
        prior=prior,
        per_example=("critic",),
    )
