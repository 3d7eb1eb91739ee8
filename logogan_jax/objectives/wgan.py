"""The Wasserstein GAN with weight clipping: Arjovsky et al. 2017 (arXiv 1701.07875), algorithm 1.

    critic:     minimise  D(G(z)) - D(x),  every parameter held in [-c, c]
    generator:  minimise -D(G(z))

`wasserstein` in the log is D(x) - D(G(z)), the estimate of the distance up to a factor that depends on c.
"""

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial
from logogan_jax.objectives.base import Objective, Player


def wgan(*, latent, critic_updates=5, clip=0.01):
    """The objective, with `critic_updates` critic updates per generator update and `clip` for c."""
    prior = adversarial.normal_prior(latent)

    def critic(nets, batch, keys):
        z, drop_generator, drop_real, drop_fake = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        on_real, on_fake = adversarial.score_pair(nets, batch, fake, drop_real, drop_fake)
        distance = on_real - on_fake
        return -distance, {"wasserstein": distance, "gap": jnp.abs(distance)}

    def generator(nets, batch, keys):
        z, drop_generator, drop_fake = prng.split(keys, 3)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        return -nets.critic(fake, batch.label, keys=drop_fake, train=True), {}

    def clipped(params):
        return jax.tree.map(lambda w: jnp.clip(w, -clip, clip), params)

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates, project={"critic": clipped}),
            Player("generator", ("generator",), generator, uses_real_images=False),
        ),
        prior=prior,
    )
