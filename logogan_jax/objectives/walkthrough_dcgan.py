"""The DCGAN of the walkthrough's scripts of 2018 with its deviations from the paper, for comparison only.

    critic:                minimise  ½ [ -log D(x) - log(1 - D(G(z))) ],   G in inference mode
    generator and critic:  minimise     -log D(G(z))

z ~ U[-1, 1). The critic sees fake images made with running statistics and without dropout. It is also trained in the
generator's turn, to take fake images for real. Each of these is an option; with all three off this is `gan`. (In 2018
one batch of images served the whole run: that is an option of the data.)
"""

from types import SimpleNamespace

import jax

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player, zero_mean


def walkthrough_dcgan(
    *,
    latent: int,
    critic_updates: int = 1,
    uniform_latents: bool = True,
    fakes_at_inference: bool = True,
    critic_in_both_turns: bool = True,
) -> Objective:
    """Make the objective, with `critic_updates` critic updates per generator update.

    Args:
      latent: The length of z.
      critic_updates: The number of critic updates per generator update.
      uniform_latents: Draw z from U[-1, 1) instead of N(0, I).
      fakes_at_inference: Generate the critic's fake images in inference mode.
      critic_in_both_turns: Train the critic on the generator's loss, too.
    """

    def prior(nets: SimpleNamespace, keys: jax.Array) -> jax.Array:
        if uniform_latents:
            return prng.uniform(keys, (latent,), low=-1.0)
        return prng.normal(keys, (latent,))

    def draw(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> jax.Array:
        z_keys, generator_keys, _, _ = prng.split(keys, 4)
        return nets.generator(prior(nets, z_keys), batch.label, keys=generator_keys, train=not fakes_at_inference)

    def critic_loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        real, fake = adversarial.score_real_and_drawn(nets, batch, keys)
        return 0.5 * (losses.bce_real(real) + losses.bce_fake(fake)), adversarial.score_metrics(real, fake)

    critic = Player("critic", ("critic",), critic_loss, updates=critic_updates, draw=draw)
    trains = ("generator", "critic") if critic_in_both_turns else ("generator",)
    generator = adversarial.generator_player(losses.bce_real, prior, trains=trains)
    prior_mean = None if uniform_latents else zero_mean
    return Objective(players=(critic, generator), prior=prior, prior_mean=prior_mean)
