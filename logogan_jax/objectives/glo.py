"""Generative latent optimisation: Bojanowski et al. 2018 (arXiv 1707.05776).

    minimise over the generator and one code z_i per training image, ‖z_i‖ <= 1:
        Lap1(G(z_i), x_i) + w ‖G(z_i) - x_i‖² / (H W C)

Lap1 is the L1 distance of Laplacian pyramids. There is no critic and no encoder: the codes are learned with the
generator and brought back to the unit ball after each update. New images come from a normal distribution fitted to
the codes: z = m + L ε, with their mean m and covariance L Lᵀ.
"""

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import losses
from logogan_jax.objectives.base import Objective, Player

JITTER = 1e-6  # of the codes' total variance, in every direction: that of few codes has no Cholesky factor


def glo(*, latent, square=1.0):
    """The objective, with the weight w of the squared error beside the Laplacian pyramid's."""

    def generator(nets, batch, keys):
        made = nets.generator(nets.codes(batch.index), batch.label, keys=keys, train=True)
        laplacian, error = losses.laplacian_l1(made, batch.image), losses.l2(made, batch.image)
        return laplacian + square * error, {"laplacian": laplacian, "square": error}

    def prior(nets, keys):
        mean, factor = fit_gaussian(nets.codes.table[...])
        noise = prng.normal(keys, (latent,))
        return mean + jnp.einsum("ij,bj->bi", factor, noise, precision="highest")

    def reconstruct(nets, batch, keys):
        return nets.generator(nets.codes(batch.index), batch.label, train=False)

    return Objective(
        players=(Player("generator", ("generator", "codes"), generator, project={"codes": project_to_unit_ball}),),
        prior=prior,
        networks=("generator", "codes"),
        ema_networks=("generator", "codes"),
        reconstruct=reconstruct,
        transductive=True,
    )


def project_to_unit_ball(params):
    """Codes [images, latent] with every row longer than 1 shortened to 1, and no other changed."""
    norm = lambda table: jnp.linalg.norm(table, axis=1, keepdims=True)
    return jax.tree.map(lambda table: table / jnp.maximum(norm(table), 1.0), params)


def fit_gaussian(table):
    """Mean [latent] and a Cholesky factor [latent, latent] of the covariance of codes [images, latent]."""
    mean = table.mean(axis=0)
    apart = table - mean
    covariance = jnp.einsum("ni,nj->ij", apart, apart, precision="highest") / len(table)
    jitter = JITTER * jnp.trace(covariance) + jnp.finfo(jnp.float32).tiny
    return mean, jnp.linalg.cholesky(covariance + jitter * jnp.eye(len(mean)))
