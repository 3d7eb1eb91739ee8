"""The DCGAN of the walkthrough's scripts of 2018, with what is odd in them; for comparison only.

    critic:                minimise  ½ [ -log D(x) - log(1 - D(G(z))) ],   G as at inference
    generator and critic:  minimise     -log D(G(z))

z ~ U[-1, 1). The critic sees fakes of running statistics and no dropout, but is also trained in the generator's turn,
to take fakes for real. Each of these is an option; with all three off this is `gan`. (In 2018 one batch of images
served the whole run: that is an option of the data.)
"""

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective, Player


def walkthrough_dcgan(
    *, latent, critic_updates=1, uniform_latents=True, fakes_at_inference=True, critic_in_both_turns=True
):
    """The objective.

    `uniform_latents`: z ~ U[-1, 1), not N(0, I); `fakes_at_inference`: the critic's fakes are of the generator's
    inference mode; `critic_in_both_turns`: the generator's loss trains the critic, too.
    """

    def prior(nets, keys):
        if uniform_latents:
            return prng.uniform(keys, (latent,), low=-1.0)
        return prng.normal(keys, (latent,))

    def critic(nets, batch, keys):
        z, drop_generator, drop_real, drop_fake = prng.split(keys, 4)
        latents = prior(nets, z)
        fake = nets.generator(latents, batch.label, keys=drop_generator, train=not fakes_at_inference)
        on_real, on_fake = adversarial.score_pair(nets, batch, fake, drop_real, drop_fake)
        each = 0.5 * (losses.bce_real(on_real) + losses.bce_fake(on_fake))
        return each, adversarial.score_metrics(on_real, on_fake)

    def generator(nets, batch, keys):
        z, drop_generator, drop_fake = prng.split(keys, 3)
        fake = adversarial.generate(nets, prior(nets, z), batch, drop_generator)
        return losses.bce_real(nets.critic(fake, batch.label, keys=drop_fake, train=True)), {}

    both = ("generator", "critic") if critic_in_both_turns else ("generator",)
    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", both, generator, uses_real_images=False),
        ),
        prior=prior,
    )
