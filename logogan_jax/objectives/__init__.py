"""Training objectives by name: OBJECTIVES[name](latent=..., **values) -> Objective."""

from logogan_jax.objectives.can import can
from logogan_jax.objectives.cgan import cgan
from logogan_jax.objectives.gan import gan
from logogan_jax.objectives.glo import glo
from logogan_jax.objectives.hinge import hinge
from logogan_jax.objectives.lsgan import lsgan
from logogan_jax.objectives.minimax import minimax
from logogan_jax.objectives.projected import projected
from logogan_jax.objectives.r3gan import r3gan
from logogan_jax.objectives.vae import vae
from logogan_jax.objectives.walkthrough_dcgan import walkthrough_dcgan
from logogan_jax.objectives.walkthrough_wgan import walkthrough_wgan
from logogan_jax.objectives.wgan import wgan
from logogan_jax.objectives.wgan_gp import wgan_gp

OBJECTIVES = {
    "gan": gan,
    "minimax": minimax,
    "cgan": cgan,
    "wgan": wgan,
    "wgan_gp": wgan_gp,
    "r3gan": r3gan,
    "hinge": hinge,
    "projected": projected,
    "lsgan": lsgan,
    "vae": vae,
    "glo": glo,
    "can": can,
    "walkthrough_dcgan": walkthrough_dcgan,
    "walkthrough_wgan": walkthrough_wgan,
}
