"""R3GAN: relativistic pairing with R1 and R2, Huang et al. 2024 (arXiv 2501.05441).

    critic:     minimise  f(D(x) - D(G(z))) + γ/2 ‖∇ D(x)‖² + γ/2 ‖∇ D(G(z))‖²
    generator:  minimise  f(D(G(z)) - D(x))

with f(t) = log(1 + exp(-t)): each image need only be more real than its partner (Jolicoeur-Martineau 2018,
arXiv 1807.00734). Both penalties (Mescheder et al. 2018, arXiv 1801.04406) are of each image's own gradient, at the
images that the critic scores; `r1` and `r2` in the log are the squared norms.
"""

import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective, Player


def r3gan(*, latent, critic_updates=1, gamma=1.0, lazy=1):
    """The objective, with `critic_updates` critic updates per generator update and penalty weight γ.

    The penalties look at every `lazy`-th pair of images, with `lazy` times the weight.
    """
    prior = adversarial.normal_prior(latent)

    def scored(nets, batch, keys):
        """Fakes, the scores of reals and fakes, and the keys of both."""
        z, drop_generator, drop_real, drop_fake = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        return fake, adversarial.score_pair(nets, batch, fake, drop_real, drop_fake), (drop_real, drop_fake)

    def critic(nets, batch, keys):
        fake, (on_real, on_fake), drops = scored(nets, batch, keys)

        def slopes(label, *halves):
            real, fake, drop_real, drop_fake = halves
            images, labels = jnp.concatenate([real, fake]), jnp.concatenate([label, label])
            score = lambda x: nets.critic(x, labels, keys=jnp.concatenate([drop_real, drop_fake]), train=True)
            return jnp.split(losses.squared_gradient_norm(score, images), 2)

        r1, r2 = losses.lazy_regularization(lazy, slopes, batch.label, batch.image, fake, *drops)
        each = (
            losses.relativistic(on_real, on_fake)
            + losses.zero_centered_penalty(r1, gamma)
            + losses.zero_centered_penalty(r2, gamma)
        )
        return each, adversarial.score_metrics(on_real, on_fake) | {"r1": r1, "r2": r2}

    def generator(nets, batch, keys):
        _, (on_real, on_fake), _ = scored(nets, batch, keys)
        return losses.relativistic(on_fake, on_real), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator),  # pairs its fakes with the images of a batch
        ),
        prior=prior,
        per_example=("critic",),
    )
