"""R3GAN: relativistic pairing with R1 and R2, Huang et al. 2024 (arXiv 2501.05441).

    critic:     minimise  f(D(x) - D(G(z))) + γ/2 ‖∇ D(x)‖² + γ/2 ‖∇ D(G(z))‖²
    generator:  minimise  f(D(G(z)) - D(x))

with f(t) = log(1 + exp(-t)): each image need only be more real than its partner (Jolicoeur-Martineau 2018,
arXiv 1807.00734). Both penalties (Mescheder et al. 2018, arXiv 1801.04406) are of each image's own gradient, at the
images that the critic scores. The metrics `r1` and `r2` are the squared norms.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player


def r3gan(*, latent: int, critic_updates: int = 1, gamma: float = 1.0, lazy: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update and penalty weight γ.

    The penalties are of every `lazy`-th pair of images, with `lazy` times the weight.
    """
    prior = adversarial.normal_prior(latent)
    draw = adversarial.draw_from(prior)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        _, _, real_keys, fake_keys = prng.split(keys, 4)
        real, fake = adversarial.score_pair(nets, batch, batch.fake, real_keys, fake_keys)

        def r1_r2(label: jax.Array, *pair: jax.Array) -> list[jax.Array]:
            """Squared gradient norms of some pairs of images, real and fake ones in one pass."""
            real_images, fake_images, real_keys, fake_keys = pair
            labels = jnp.concatenate([label, label])
            pair_keys = jnp.concatenate([real_keys, fake_keys])
            critic = lambda images: nets.critic(images, labels, keys=pair_keys, train=True)
            images = jnp.concatenate([real_images, fake_images])
            return jnp.split(losses.squared_gradient_norm(critic, images), 2)

        r1, r2 = losses.lazy_regularization(lazy, r1_r2, batch.label, batch.image, batch.fake, real_keys, fake_keys)
        penalty_r1 = losses.zero_centered_penalty(r1, gamma)
        penalty_r2 = losses.zero_centered_penalty(r2, gamma)
        metrics = {**adversarial.score_metrics(real, fake), "r1": r1, "r2": r2}
        return losses.relativistic(real, fake) + penalty_r1 + penalty_r2, metrics

    def generator_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        _, _, real_keys, fake_keys = prng.split(keys, 4)
        fake_images = draw(nets, batch, keys)
        real, fake = adversarial.score_pair(nets, batch, fake_images, real_keys, fake_keys)
        return losses.relativistic(fake, real), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=draw),
            Player("generator", ("generator",), generator_loss),  # needs real images to compare its own with
        ),
        prior=prior,
        per_example=("critic",),
    )
