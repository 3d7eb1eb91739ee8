"""Creative adversarial networks: Elgammal et al. 2017 (arXiv 1706.07068).

    critic:     minimise  -log D(x) - log(1 - D(G(z))) - log p(style of x | x)
    generator:  minimise  -log D(G(z)) - Σ_k [ 1/K log p(k | G(z)) + (1 - 1/K) log(1 - p(k | G(z))) ]

The labels are K styles. The critic's first output is the logit of D, the others are those of the style p; the
generator is to draw what passes for real yet belongs to no style, and is told of none. `style_entropy` in the log
is that of p, on real images in the critic's turn and on fakes in the generator's.
"""

import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective, Player


def can(*, latent, classes, critic_updates=1):
    """The objective, with `critic_updates` critic updates for each of the generator."""
    if classes == 1:
        raise UserError(
            "config.objective.name is 'can', which needs images of at least two styles, but they have one label only: "
            "sort them into sub-folders, or by likeness with python -m data_prep.cluster_labels"
        )
    prior = adversarial.normal_prior(latent)

    def critic(nets, batch, keys):
        z, drop_generator, drop_real, drop_fake = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        on_real, on_fake = adversarial.score_pair(nets, batch, fake, drop_real, drop_fake)
        real, fake, style = on_real[:, 0], on_fake[:, 0], on_real[:, 1:]
        each = losses.bce_real(real) + losses.bce_fake(fake) + losses.cross_entropy(style, batch.label)
        right = jnp.argmax(style, axis=1) == batch.label
        notes = {"style_entropy": losses.entropy(style), "style_accuracy": right.astype(jnp.float32)}
        return each, adversarial.score_metrics(real, fake) | {"sign": jnp.sign(real)} | notes

    def generator(nets, batch, keys):
        z, drop_generator, drop_fake = prng.split(keys, 3)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        scores = nets.critic(fake, batch.label, keys=drop_fake, train=True)
        each = losses.bce_real(scores[:, 0]) + losses.style_ambiguity(scores[:, 1:])
        return each, {"style_entropy": losses.entropy(scores[:, 1:])}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator, uses_real_images=False),
        ),
        prior=prior,
        outputs={"critic": 1 + classes},
        requires_labels=True,
        conditioned_networks=(),
        has_score_sign=True,
    )
