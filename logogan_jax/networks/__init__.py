"""Networks by name and role: NETWORKS[name][role] is a class."""

from logogan_jax.networks import dcgan, encoders, projected, r3gan, resnet, wgan_gp

# A role's place is part of the address of its initial weights: never re-order.
ROLES = ("generator", "critic", "encoder", "codes")
_ENCODERS = {"encoder": encoders.Encoder, "codes": encoders.LatentCodes}
NETWORKS = {
    "dcgan": {"generator": dcgan.Generator, "critic": dcgan.Critic, **_ENCODERS},
    "wgan": {"generator": wgan_gp.Generator, "critic": wgan_gp.Critic, **_ENCODERS},
    "resnet": {"generator": resnet.Generator, "critic": resnet.Critic, **_ENCODERS},
    "r3gan": {"generator": r3gan.Generator, "critic": r3gan.Critic, **_ENCODERS},
    "projected": {"generator": dcgan.Generator, "critic": projected.Critic, **_ENCODERS},
}
