"""The WGAN-GP of the walkthrough's scripts of 2018, with what is odd in them; for comparison only.

    critic:     minimise  D(x) - D(G(z)) + λ (1 - N)²,   N = ( Σ_i ‖∇ D(x̂_i)‖² )^½ over the whole batch
    generator:  minimise  D(G(z))

D is the mean of as many outputs as images have channels; N is of their sum, which drives each image's own norm to
one over the root of the batch. The critic is low on real images, and z ~ U[0, 1). Each of these is an option; with
all four off this is `wgan_gp`. (In 2018 one batch of images served a whole epoch: that is an option of the data.)
"""

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.distributed import data_parallel
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective, Player


def walkthrough_wgan(
    *, latent, critic_updates=5, penalty=10.0, outputs=3, whole_batch=True, low_on_real=True, positive_latents=True
):
    """The objective, with penalty weight λ.

    `outputs` of the critic are averaged; `whole_batch`: one norm for all images; `low_on_real`: the critic is low on
    real images; `positive_latents`: z ~ U[0, 1), not N(0, I).
    """
    sign = -1.0 if low_on_real else 1.0
    each = lambda scores: scores if scores.ndim == 1 else scores.mean(axis=1)

    def prior(nets, keys):
        return prng.uniform(keys, (latent,)) if positive_latents else prng.normal(keys, (latent,))

    def critic(nets, batch, keys):
        z, mixing, drop_generator, drop_critic = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        on_real, on_fake = map(each, adversarial.score_pair(nets, batch, fake, drop_critic, drop_critic))
        between = losses.interpolate(batch.image, fake, prng.uniform(mixing))
        square = losses.squared_gradient_norm(
            lambda x: nets.critic(x, batch.label, keys=drop_critic, train=True), between
        )
        norm = losses.safe_sqrt(over_batch(square) if whole_batch else square)
        distance = sign * (on_real - on_fake)
        notes = {"wasserstein": distance, "gradient_norm": norm, "gap": jnp.abs(distance)}
        return penalty * losses.two_sided_penalty(norm) - distance, notes

    def generator(nets, batch, keys):
        z, drop_generator, drop_critic = prng.split(keys, 3)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        return -sign * each(nets.critic(fake, batch.label, keys=drop_critic, train=True)), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator, uses_real_images=False),
        ),
        prior=prior,
        outputs={"critic": outputs},
        per_example=("critic",),
    )


def over_batch(square):
    """The sum of float32[b] over the global batch, for each of its images: float32[b]."""
    return jnp.broadcast_to(jax.lax.psum(square.sum(), data_parallel.AXIS), square.shape)
