"""Creative adversarial networks: Elgammal et al. 2017 (arXiv 1706.07068).

    critic:     minimise  -log D(x) - log(1 - D(G(z))) - log p(style of x | x)
    generator:  minimise  -log D(G(z)) - Σ_k [ 1/K log p(k | G(z)) + (1 - 1/K) log(1 - p(k | G(z))) ]

The labels are K styles. The critic's first output is the logit of D, the others are the logits of the style p. The
generator learns to draw what passes for real yet belongs to no style; it is not conditioned on one. The metric
`style_entropy` is that of p, on real images in the critic's turn and on generated ones in the generator's.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core.errors import UserError
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player


def can(*, latent: int, classes: int, critic_updates: int = 1) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update.

    Raises a UserError if there is only one style.
    """
    if classes == 1:
        raise UserError(
            "config.objective.name is 'can', which needs images of at least two styles, but they have one label only: "
            "sort them into sub-folders, or by likeness with python -m data_prep.cluster_labels"
        )
    prior = adversarial.normal_prior(latent)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        real_outputs, fake_outputs = adversarial.score_real_and_drawn(nets, batch, keys)
        real = first_output(real_outputs)
        fake = first_output(fake_outputs)
        style = real_outputs[:, 1:]
        loss = losses.bce_real(real) + losses.bce_fake(fake) + losses.cross_entropy(style, batch.label)
        correct = jnp.argmax(style, axis=1) == batch.label
        return loss, {
            **adversarial.score_metrics(real, fake),
            "sign": jnp.sign(real),
            "style_entropy": losses.entropy(style),
            "style_accuracy": correct.astype(jnp.float32),
        }

    def generator_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        outputs = adversarial.score_generated(nets, batch, keys, prior)
        fake = first_output(outputs)
        style = outputs[:, 1:]
        loss = losses.bce_real(fake) + losses.style_ambiguity(style)
        return loss, {"style_entropy": losses.entropy(style)}

    return Objective(
        players=(
            Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=adversarial.draw_from(prior)),
            Player("generator", ("generator",), generator_loss, uses_real_images=False),
        ),
        prior=prior,
        outputs={"critic": 1 + classes},
        requires_labels=True,
        conditioned_networks=(),
        score=first_output,
        has_score_sign=True,
    )


def first_output(outputs: jax.Array) -> jax.Array:
    """Return the logit of D: [n, 1 + classes] -> [n]."""
    return outputs[:, 0]
