"""The variational autoencoder of Kingma & Welling 2014 (arXiv 1312.6114, equation 10).

    minimise  -log p(x|z) + β KL(q(z|x) || N(0, I)),   q(z|x) = N(m, s²),  z = m + s ε,  ε ~ N(0, I)

The encoder gives m and log s² of an image. The generator gives the mean of p(x|z), a Gaussian of one fixed
`deviation` in every pixel, on images in [-1, 1]; log p is a sum over pixels, so that with β = 1 the loss is a bound
on -log p(x) in nats. β is that of Higgins et al. 2017.
"""

import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import adversarial, losses
from logogan_jax.objectives.base import Objective, Player


def vae(*, latent, beta=1.0, deviation=0.2):
    """The objective, with the weight β of the divergence and the deviation of a pixel from its mean."""

    def autoencoder(nets, batch, keys):
        noise, drop_encoder, drop_generator = prng.split(keys, 3)
        mean, log_variance = nets.encoder(batch.image, batch.label, keys=drop_encoder, train=True)
        z = mean + jnp.exp(0.5 * log_variance) * prng.normal(noise, (latent,))
        made = nets.generator(z, batch.label, keys=drop_generator, train=True)
        reconstruction = losses.gaussian_nll(batch.image, made, deviation)
        kl = losses.kl_to_normal(mean, log_variance)
        return reconstruction + beta * kl, {"reconstruction": reconstruction, "kl": kl}

    def reconstruct(nets, batch, keys):
        mean, _ = nets.encoder(batch.image, batch.label, train=False)
        return nets.generator(mean, batch.label, train=False)

    return Objective(
        players=(Player("autoencoder", ("generator", "encoder"), autoencoder),),
        prior=adversarial.normal_prior(latent),
        networks=("generator", "encoder"),
        ema_networks=("generator", "encoder"),
        reconstruct=reconstruct,
    )
