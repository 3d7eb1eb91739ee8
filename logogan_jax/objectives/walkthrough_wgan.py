"""The WGAN-GP of the walkthrough's scripts of 2018 with its deviations from the paper, for comparison only.

    critic:     minimise  D(x) - D(G(z)) + λ (1 - N)²,   N = ( Σ_i ‖∇ D(x̂_i)‖² )^½ over the whole batch
    generator:  minimise  D(G(z))

D is the mean of several outputs, one for each channel of an image. N is that of their sum, which drives each image's
own norm to one over the root of the batch size. The critic is low on real images, and z ~ U[0, 1). Each of these is an
option; with all four off this is `wgan_gp`. (In 2018 one batch of images served a whole epoch: that is an option of the
data.)
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player, zero_mean


def walkthrough_wgan(
    *,
    latent: int,
    critic_updates: int = 5,
    penalty: float = 10.0,
    outputs: int = 3,
    whole_batch: bool = True,
    low_on_real: bool = True,
    positive_latents: bool = True,
    axis_name: str | None = None,
) -> Objective:
    """Make the objective, with penalty weight λ.

    Args:
      latent: The length of z.
      critic_updates: The number of critic updates per generator update.
      penalty: The weight λ of the gradient penalty.
      outputs: The number of outputs of the critic, which are averaged.
      whole_batch: Take one gradient norm for all images of the global batch.
      low_on_real: Let the critic score real images low.
      positive_latents: Draw z from U[0, 1) instead of N(0, I).
      axis_name: The mapped axis of the replicas that share the global batch, if there is one.
    """
    sign = -1.0 if low_on_real else 1.0

    def prior(nets: SimpleNamespace, keys: jax.Array) -> jax.Array:
        return prng.uniform(keys, (latent,)) if positive_latents else prng.normal(keys, (latent,))

    def draw(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        z_keys, mixing_keys, generator_keys, _ = prng.split(keys, 4)
        fake = adversarial.generate(nets, prior(nets, z_keys), batch, generator_keys)
        return fake, prng.uniform(mixing_keys)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        _, _, _, critic_keys = prng.split(keys, 4)
        fake_images, epsilon = batch.fake
        real, fake = map(mean_output, adversarial.score_pair(nets, batch, fake_images, critic_keys, critic_keys))
        interpolated = losses.interpolate(batch.image, fake_images, epsilon)
        critic = lambda images: nets.critic(images, batch.label, keys=critic_keys, train=True)
        square = losses.squared_gradient_norm(critic, interpolated)
        norm = losses.safe_sqrt(sum_over_batch(square, axis_name) if whole_batch else square)
        distance = sign * (real - fake)
        metrics = {**adversarial.wasserstein_metrics(distance), "gradient_norm": norm}
        return penalty * losses.two_sided_penalty(norm) - distance, metrics

    critic = Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=draw)
    generator = adversarial.generator_player(lambda scores: -sign * mean_output(scores), prior)
    return Objective(
        players=(critic, generator),
        prior=prior,
        prior_mean=None if positive_latents else zero_mean,
        outputs={"critic": outputs},
        score=mean_output,
        per_example=("critic",),
    )


def mean_output(outputs: jax.Array) -> jax.Array:
    """Return D of what a critic of one or more outputs returns: [n] or [n, outputs] -> [n]."""
    return outputs if outputs.ndim == 1 else outputs.mean(axis=1)


def sum_over_batch(values: jax.Array, axis_name: str | None) -> jax.Array:
    """Sum float32[b] over the global batch and return the sum for each image: float32[b]."""
    total = values.sum()
    if axis_name is not None:
        total = jax.lax.psum(total, axis_name)
    return jnp.broadcast_to(total, values.shape)
