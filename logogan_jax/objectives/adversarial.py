"""What the adversarial objectives share: the prior, fakes, both kinds of image scored in one pass, the usual game."""

import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives.base import Objective, Player


def normal_prior(latent):
    """The prior N(0, I): prior(nets, keys) -> z float32[b, latent]."""
    return lambda nets, keys: prng.normal(keys, (latent,))


def generate(nets, z, batch, keys):
    """G(z) in training mode, with the labels of the batch: float32[b, h, w, channels]."""
    return nets.generator(z, batch.label, keys=keys, train=True)


def score_pair(nets, batch, fake, keys_real, keys_fake):
    """The critic's scores of the batch's images and of as many fakes with the same labels.

    One pass for both: the critic has no batch statistics that would mix them.
    """
    images, labels = jnp.concatenate([batch.image, fake]), jnp.concatenate([batch.label, batch.label])
    both = nets.critic(images, labels, keys=jnp.concatenate([keys_real, keys_fake]), train=True)
    return jnp.split(both, 2)


def score_metrics(real, fake):
    """What every critic notes of its scores float32[b] of real and fake images."""
    return {"real": real, "fake": fake, "gap": jnp.abs(real - fake)}


def two_player_objective(critic_loss, generator_loss, *, latent, critic_updates, decision_threshold=0.0):
    """The objective of critic_loss(real, fake) and generator_loss(fake), both of scores float32[b] -> float32[b].

    `decision_threshold` is the score half way between real and fake.
    """
    prior = normal_prior(latent)

    def critic(nets, batch, keys):
        z, drop_generator, drop_real, drop_fake = prng.split(keys, 4)
        fake = generate(nets, prior(nets, z), batch, drop_generator)
        on_real, on_fake = score_pair(nets, batch, fake, drop_real, drop_fake)
        return critic_loss(on_real, on_fake), score_metrics(on_real, on_fake) | {
            "sign": jnp.sign(on_real - decision_threshold)
        }

    def generator(nets, batch, keys):
        z, drop_generator, drop_fake = prng.split(keys, 3)
        fake = generate(nets, prior(nets, z), batch, drop_generator)
        return generator_loss(nets.critic(fake, batch.label, keys=drop_fake, train=True)), {}

    return Objective(
        players=(
            Player("critic", ("critic",), critic, updates=critic_updates),
            Player("generator", ("generator",), generator, uses_real_images=False),
        ),
        prior=prior,
        has_score_sign=True,
    )
