"""What is learned: OBJECTIVES[name](latent=..., **values) -> Objective."""

from logogan_jax.objectives.dcgan import dcgan
from logogan_jax.objectives.wgan_gp import wgan_gp

OBJECTIVES = {"dcgan": dcgan, "wgan_gp": wgan_gp}
