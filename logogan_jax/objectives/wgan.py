"""The Wasserstein GAN with weight clipping: Arjovsky et al. 2017 (arXiv 1701.07875), algorithm 1.

    critic:     minimise  D(G(z)) - D(x),  every parameter clipped to [-c, c]
    generator:  minimise -D(G(z))

The metric `wasserstein` is D(x) - D(G(z)), the estimate of the distance up to a factor that depends on c.
"""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from logogan_jax.objectives import adversarial
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player


def wgan(*, latent: int, critic_updates: int = 5, clip: float = 0.01) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update and `clip` for c."""
    prior = adversarial.normal_prior(latent)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        real, fake = adversarial.score_real_and_drawn(nets, batch, keys)
        distance = real - fake
        return -distance, adversarial.wasserstein_metrics(distance)

    def clip_weights(params: Any) -> Any:
        return jax.tree.map(lambda w: jnp.clip(w, -clip, clip), params)

    critic = Player(
        "critic",
        ("critic",),
        critic_loss,
        updates=critic_updates,
        draw=adversarial.draw_from(prior),
        project={"critic": clip_weights},
    )
    generator = adversarial.generator_player(lambda fake: -fake, prior)
    return Objective(players=(critic, generator), prior=prior)
