"""Adversarial losses and gradient penalties: arrays in, one float32 per image out, never reduced."""

import jax
import jax.numpy as jnp

# ── adversarial: logits float32[b] -> float32[b] ────────────────────────────────────────────


def says_real(logits):
    """-log sigmoid(logits): cross-entropy against the answer "real" (Goodfellow et al. 2014)."""
    return jax.nn.softplus(-logits)


def says_fake(logits):
    """-log(1 - sigmoid(logits)): cross-entropy against the answer "fake" (Goodfellow et al. 2014)."""
    return jax.nn.softplus(logits)


# ── penalties: a critic and images float32[b, H, W, C] -> float32[b] ────────────────────────


def mix(real, fake, weight):
    """weight*real + (1 - weight)*fake with one weight per image: float32[b] weights."""
    weight = weight[:, None, None, None]
    return weight * real + (1 - weight) * fake


def gradient_norm(critic, images):
    """Norm of each image's own gradient, safe to differentiate where it is zero.

    The critic must treat images independently (no batch normalisation), for only then is the
    gradient of the summed output the stack of the per-image gradients.
    """
    gradient = jax.grad(lambda x: critic(x).sum())(images)
    square = jnp.sum(jnp.square(gradient), axis=(1, 2, 3))
    positive = square > 0
    # sqrt has no derivative at 0; the inner where keeps an infinity out of the backward pass.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def one_centred(norm):
    """(|gradient| - 1)^2, the two-sided penalty of WGAN-GP (Gulrajani et al. 2017, eq. 3)."""
    return jnp.square(norm - 1.0)
