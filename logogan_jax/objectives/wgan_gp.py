"""WGAN with gradient penalty: Gulrajani et al. 2017 (arXiv 1704.00028), algorithm 1.

    critic:     minimise  D(G(z)) - D(x) + λ (‖∇ D(x̂)‖ - 1)²,   x̂ = ε x + (1 - ε) G(z),  ε ~ U[0, 1)
    generator:  minimise -D(G(z))

The penalty is one number per image, from the norm of that image's own gradient. The critic scores real images high.
The metric `wasserstein` is D(x) - D(G(z)), the estimate of the distance.
"""

from types import SimpleNamespace

import jax

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player


def wgan_gp(*, latent: int, critic_updates: int = 5, penalty: float = 10.0, lazy: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update and penalty weight λ.

    The penalty is of every `lazy`-th interpolated image, with `lazy` times the weight.
    """
    prior = adversarial.normal_prior(latent)

    def draw(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        z_keys, mixing_keys, generator_keys, _ = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z_keys), batch, generator_keys)
        return fake, prng.uniform(mixing_keys)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        _, _, _, critic_keys = prng.split(keys, 4)
        fake_images, epsilon = batch.fake
        # The same dropout for the three images of a row, so that the critic that is penalised is the one that scores.
        real, fake = adversarial.score_pair(nets, batch, fake_images, critic_keys, critic_keys)
        interpolated = losses.interpolate(batch.image, fake_images, epsilon)

        def norm_and_penalty(images: jax.Array, label: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
            norm = losses.gradient_norm(lambda x: nets.critic(x, label, keys=keys, train=True), images)
            return norm, losses.two_sided_penalty(norm)

        norm, gradient_penalty = losses.lazy_regularization(
            lazy, norm_and_penalty, interpolated, batch.label, critic_keys
        )
        distance = real - fake
        metrics = {**adversarial.wasserstein_metrics(distance), "gradient_norm": norm}
        return penalty * gradient_penalty - distance, metrics

    critic = Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=draw)
    generator = adversarial.generator_player(lambda fake: -fake, prior)
    return Objective(players=(critic, generator), prior=prior, per_example=("critic",))
