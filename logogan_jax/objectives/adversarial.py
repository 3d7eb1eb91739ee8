"""Parts that adversarial objectives share: the prior, generated images, scores, and the usual two players."""

from collections.abc import Callable
from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives.base import Batch, Draw, Metrics, Objective, Player, Prior


def normal_prior(latent: int) -> Prior:
    """The prior N(0, I): prior(nets, keys) -> z float32[b, latent]."""
    return lambda nets, keys: prng.normal(keys, (latent,))


def generate(nets: SimpleNamespace, z: jax.Array, batch: Batch, keys: jax.Array) -> jax.Array:
    """Compute G(z) in training mode, with the labels of the batch: float32[b, h, w, channels]."""
    return nets.generator(z, batch.label, keys=keys, train=True)


def draw_from(prior: Prior) -> Draw:
    """Return what draws the generated images that a critic scores in one update."""

    def draw(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> jax.Array:
        z_keys, generator_keys, _, _ = prng.split(keys, 4)
        return generate(nets, prior(nets, z_keys), batch, generator_keys)

    return draw


def score_pair(
    nets: SimpleNamespace, batch: Batch, fake: jax.Array, real_keys: jax.Array, fake_keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Score the real images of the batch and the fake ones, which have the same labels: (D(x), D(G(z))).

    Both are scored in one pass. That is allowed because critics have no batch statistics that would mix the two.
    """
    images = jnp.concatenate([batch.image, fake])
    labels = jnp.concatenate([batch.label, batch.label])
    scores = nets.critic(images, labels, keys=jnp.concatenate([real_keys, fake_keys]), train=True)
    real_scores, fake_scores = jnp.split(scores, 2)
    return real_scores, fake_scores


def score_real_and_drawn(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Score the real images of the batch and those that `draw_from` drew: (D(x), D(G(z)))."""
    _, _, real_keys, fake_keys = prng.split(keys, 4)
    return score_pair(nets, batch, batch.fake, real_keys, fake_keys)


def score_generated(nets: SimpleNamespace, batch: Batch, keys: jax.Array, prior: Prior) -> jax.Array:
    """Score newly generated images: D(G(z))."""
    z_keys, generator_keys, critic_keys = prng.split(keys, 3)
    fake = generate(nets, prior(nets, z_keys), batch, generator_keys)
    return nets.critic(fake, batch.label, keys=critic_keys, train=True)


def score_metrics(real: jax.Array, fake: jax.Array) -> Metrics:
    """The metrics of a critic's scores float32[b] of real and fake images."""
    return {"real": real, "fake": fake, "gap": jnp.abs(real - fake)}


def wasserstein_metrics(distance: jax.Array) -> Metrics:
    """The metrics of a Wasserstein critic: D(x) - D(G(z)), and its size, as float32[b]."""
    return {"wasserstein": distance, "gap": jnp.abs(distance)}


def generator_player(
    generator_loss: Callable[[jax.Array], jax.Array], prior: Prior, *, trains: tuple[str, ...] = ("generator",)
) -> Player:
    """Make the player that minimises generator_loss(scores of generated images) -> float32[b]."""

    def loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        return generator_loss(score_generated(nets, batch, keys, prior)), {}

    return Player("generator", trains, loss, uses_real_images=False)


def two_player_objective(
    critic_loss: Callable[[jax.Array, jax.Array], jax.Array],
    generator_loss: Callable[[jax.Array], jax.Array],
    *,
    latent: int,
    critic_updates: int,
    decision_threshold: float = 0.0,
) -> Objective:
    """Make the objective of critic_loss(real, fake) and generator_loss(fake), functions of scores float32[b].

    Both losses return float32[b]. `decision_threshold` is the score half way between real and fake.
    """
    prior = normal_prior(latent)

    def loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        real, fake = score_real_and_drawn(nets, batch, keys)
        sign = jnp.sign(real - decision_threshold)
        return critic_loss(real, fake), {**score_metrics(real, fake), "sign": sign}

    critic = Player("critic", ("critic",), loss, updates=critic_updates, draw=draw_from(prior))
    return Objective(players=(critic, generator_player(generator_loss, prior)), prior=prior, has_score_sign=True)
