"""Networks by name and role: NETWORKS[name][role] is a class."""

from logogan_jax.networks import dcgan, encoders, r3gan, resnet, wgan_gp

ROLES = ("generator", "critic", "encoder", "codes")  # their order is part of the address of their first weights
_CODERS = {"encoder": encoders.Encoder, "codes": encoders.LatentCodes}
NETWORKS = {
    "dcgan": {"generator": dcgan.Generator, "critic": dcgan.Critic, **_CODERS},
    "wgan": {"generator": wgan_gp.Generator, "critic": wgan_gp.Critic, **_CODERS},
    "resnet": {"generator": resnet.Generator, "critic": resnet.Critic, **_CODERS},
    "r3gan": {"generator": r3gan.Generator, "critic": r3gan.Critic, **_CODERS},
}
