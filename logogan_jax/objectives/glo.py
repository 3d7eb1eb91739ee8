"""Generative latent optimisation: Bojanowski et al. 2018 (arXiv 1707.05776).

    minimise over the generator and one code z_i per training image, ‖z_i‖ <= 1:
        Lap1(G(z_i), x_i) + w ‖G(z_i) - x_i‖² / (H W C)

Lap1 is the L1 distance of Laplacian pyramids. There is no critic and no encoder: the codes are learned with the
generator and projected to the unit ball after each update. New images come from a normal distribution fitted to the
codes: z = m + L ε, with their mean m and covariance L Lᵀ.
"""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from logogan_jax.core import prng
from logogan_jax.objectives import losses
from logogan_jax.objectives.base import Batch, Metrics, Objective, Player

# A share of the codes' total variance that is added to the variance in every direction. Without it the covariance of
# fewer codes than dimensions is singular and has no Cholesky factor.
JITTER = 1e-6


def glo(*, latent: int, square: float = 1.0) -> Objective:
    """Make the objective, with weight w = `square` of the squared error beside the Laplacian pyramid's."""

    def loss(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        generated = nets.generator(nets.codes(batch.index), batch.label, keys=keys, train=True)
        laplacian = losses.laplacian_l1(generated, batch.image)
        error = losses.l2(generated, batch.image)
        return laplacian + square * error, {"laplacian": laplacian, "square": error}

    def prior(nets: SimpleNamespace, keys: jax.Array) -> jax.Array:
        mean, factor = fit_gaussian(nets.codes.table[...])
        noise = prng.normal(keys, (latent,))
        return mean[None] + jnp.einsum("ij,bj->bi", factor, noise, precision="highest")

    def reconstruct(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> jax.Array:
        return nets.generator(nets.codes(batch.index), batch.label, train=False)

    return Objective(
        players=(Player("generator", ("generator", "codes"), loss, project={"codes": project_to_unit_ball}),),
        prior=prior,
        prior_mean=lambda nets: nets.codes.table[...].mean(axis=0),
        networks=("generator", "codes"),
        ema_networks=("generator", "codes"),
        reconstruct=reconstruct,
        transductive=True,  # only training images have a code
    )


def project_to_unit_ball(params: Any) -> Any:
    """Shorten every code longer than 1 to length 1: a tree of float32[images, latent]. Others stay exactly the same."""
    norm = lambda table: jnp.linalg.norm(table, axis=1, keepdims=True)
    return jax.tree.map(lambda table: table / jnp.maximum(norm(table), 1.0), params)


def fit_gaussian(table: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fit a normal distribution to codes [images, latent].

    Returns (mean [latent], Cholesky factor [latent, latent] of the covariance).
    """
    mean = table.mean(axis=0)
    centred = table - mean[None]
    covariance = jnp.einsum("ni,nj->ij", centred, centred, precision="highest") / len(table)
    # The smallest positive float serves codes that are all equal, whose total variance is 0.
    jitter = JITTER * jnp.trace(covariance) + jnp.finfo(jnp.float32).tiny
    return mean, jnp.linalg.cholesky(covariance + jitter * jnp.eye(len(mean)))
