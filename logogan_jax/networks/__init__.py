"""Networks by name and role: NETWORKS[name] is a module with one class per role."""

from logogan_jax.networks import dcgan, wgan

NETWORKS = {"dcgan": dcgan, "wgan": wgan}
