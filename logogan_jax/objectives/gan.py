"""The non-saturating GAN of Goodfellow et al. 2014 (arXiv 1406.2661, section 3), as DCGAN trains it.

    critic:     minimise  ½ [ -log D(x)  - log(1 - D(G(z))) ] + γ₁/2 ‖∇ D(x)‖² + γ₂/2 ‖∇ D(G(z))‖²
    generator:  minimise     -log D(G(z))

In the first part D is the sigmoid of the critic's logit; at logit 0 both losses are log 2. The factor ½ makes the
critic's loss the mean over its joint batch of real and fake images, as in Keras and most code since.

The penalties R1 and R2 (Mescheder et al. 2018, arXiv 1801.04406) are of the logit's gradient at each image of its own.
Their weights γ are 0 in the GAN of 2014. The metrics `r1` and `r2` are the squared norms of those that have a weight.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player


def gan(*, latent: int, critic_updates: int = 1, r1: float = 0.0, r2: float = 0.0, lazy: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update.

    Args:
        latent: length of z.
        critic_updates: of a step.
        r1: weight γ₁ of the penalty at real images.
        r2: weight γ₂ of the penalty at generated images.
        lazy: the penalties are of every `lazy`-th image, with `lazy` times the weight.

    Raises:
        UserError: A weight is below 0, or `lazy` is given and no weight.
    """
    if min(r1, r2) < 0:
        name, value = ("r1", r1) if r1 < 0 else ("r2", r2)
        raise UserError(f"config.objective.{name} is {value}: it should be a weight, or 0 for no penalty")
    if lazy != 1 and not r1 and not r2:
        raise UserError(f"config.objective.lazy is {lazy}, but there is no penalty: use --config.objective.r1=0.2 too")
    prior = adversarial.normal_prior(latent)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        _, _, real_keys, fake_keys = prng.split(keys, 4)
        real, fake = adversarial.score_pair(nets, batch, batch.fake, real_keys, fake_keys)
        loss = 0.5 * (losses.bce_real(real) + losses.bce_fake(fake))
        metrics = {**adversarial.score_metrics(real, fake), "sign": jnp.sign(real)}

        def squared_norm(images: jax.Array, label: jax.Array, own_keys: jax.Array) -> jax.Array:
            return losses.squared_gradient_norm(lambda x: nets.critic(x, label, keys=own_keys, train=True), images)

        # Only a penalty that has a weight is computed.
        for name, weight, images, own_keys in (
            ("r1", r1, batch.image, real_keys),
            ("r2", r2, batch.fake, fake_keys),
        ):
            if weight:
                metrics[name] = losses.lazy_regularization(lazy, squared_norm, images, batch.label, own_keys)
                loss += losses.zero_centered_penalty(metrics[name], weight)
        return loss, metrics

    return Objective(
        players=(
            Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=adversarial.draw_from(prior)),
            adversarial.generator_player(losses.bce_real, prior),
        ),
        prior=prior,
        per_example=("critic",) if r1 or r2 else (),
        has_score_sign=True,
    )
