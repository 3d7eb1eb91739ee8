"""Networks by name and role: NETWORKS[name][role] is a class."""

from logogan_jax.networks import coders, dcgan, r3gan, resnet, wgan

ROLES = ("generator", "critic", "encoder", "codes")  # their order is part of the address of their first weights
_CODERS = {"encoder": coders.Encoder, "codes": coders.Codes}
NETWORKS = {
    "dcgan": {"generator": dcgan.Generator, "critic": dcgan.Critic, **_CODERS},
    "wgan": {"generator": wgan.Generator, "critic": wgan.Critic, **_CODERS},
    "resnet": {"generator": resnet.Generator, "critic": resnet.Critic, **_CODERS},
    "r3gan": {"generator": r3gan.Generator, "critic": r3gan.Critic, **_CODERS},
}
