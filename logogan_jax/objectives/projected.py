"""Projected GAN: Sauer et al. 2021 (arXiv 2111.01007, equation 4), with the hinge loss.

    critic:     minimise  Σ_l  max(0, 1 - D_l(x)) + max(0, 1 + D_l(G(z)))
    generator:  minimise  Σ_l  -D_l(G(z))

D_l is one of the heads of the critic. Where a head gives a map of scores, the loss is the mean over its places. The
heads normalise their batch, so real and generated images are scored apart: with statistics of both together the score
of an image would depend on images of the other kind.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player

HEADS = 4


def projected(*, latent: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update."""
    prior = adversarial.normal_prior(latent)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        _, _, real_keys, fake_keys = prng.split(keys, 4)
        real = nets.critic(batch.image, batch.label, keys=real_keys, train=True)
        fake = nets.critic(batch.fake, batch.label, keys=fake_keys, train=True)
        loss = sum_over_heads(losses.hinge(real)) + sum_over_heads(losses.hinge(-fake))
        real_mean = sum_over_heads(real) / HEADS
        fake_mean = sum_over_heads(fake) / HEADS
        metrics = {**adversarial.score_metrics(real_mean, fake_mean), "sign": jnp.sign(real_mean)}
        return loss, metrics

    generator_loss = lambda fake: -sum_over_heads(fake)
    return Objective(
        players=(
            Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=adversarial.draw_from(prior)),
            adversarial.generator_player(generator_loss, prior),
        ),
        prior=prior,
        outputs={"critic": HEADS},
        score=sum_over_heads,
        has_score_sign=True,
    )


def sum_over_heads(scores: jax.Array) -> jax.Array:
    """Sum over the heads, of each the mean over its places: [n, heads] or [n, heads, places] -> [n]."""
    return scores.reshape(*scores.shape[:2], -1).mean(-1).sum(-1)
