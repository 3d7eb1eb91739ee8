"""The variational autoencoder of Kingma & Welling 2014 (arXiv 1312.6114, equation 10).

    minimise  -log p(x|z) + β KL(q(z|x) || N(0, I)),   q(z|x) = N(m, s²),  z = m + s ε,  ε ~ N(0, I)

The encoder gives m and log s² of an image. The generator gives the mean of p(x|z), a Gaussian of one fixed
`deviation` in every pixel, on images in [-1, 1]. log p is a sum over pixels, so that with β = 1 the loss is a bound
on -log p(x) in nats. β is that of Higgins et al. 2017 (β-VAE).
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player


def vae(*, latent: int, beta: float = 1.0, deviation: float = 0.2) -> Objective:
    """Make the objective, with the weight β of the KL divergence and the deviation of a pixel from its mean."""

    def loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        noise_keys, encoder_keys, generator_keys = prng.split(keys, 3)
        mean, log_variance = nets.encoder(batch.image, batch.label, keys=encoder_keys, train=True)
        # The reparameterisation trick: z is a differentiable function of the encoder's outputs.
        z = mean + jnp.exp(0.5 * log_variance) * prng.normal(noise_keys, (latent,))
        generated = nets.generator(z, batch.label, keys=generator_keys, train=True)
        reconstruction = losses.gaussian_nll(batch.image, generated, deviation)
        kl = losses.kl_to_normal(mean, log_variance)
        return reconstruction + beta * kl, {"reconstruction": reconstruction, "kl": kl}

    def reconstruct(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> jax.Array:
        mean, _ = nets.encoder(batch.image, batch.label, train=False)
        return nets.generator(mean, batch.label, train=False)

    return Objective(
        players=(Player("autoencoder", ("generator", "encoder"), loss),),
        prior=adversarial.normal_prior(latent),
        networks=("generator", "encoder"),
        ema_networks=("generator", "encoder"),
        reconstruct=reconstruct,
    )
