"""Adversarial losses, gradient penalties, reconstruction errors and class losses.

All take arrays and return one float32 per image. The train step takes the mean.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from logogan_jax.core.errors import UserError

Critic = Callable[[jax.Array], jax.Array]  # images -> scores

# ── adversarial: scores float32[b] -> float32[b] ────────────────────────────────────────────


def bce_real(logits: jax.Array) -> jax.Array:
    """-log sigmoid(logits): binary cross-entropy with target "real" (Goodfellow et al. 2014, arXiv 1406.2661)."""
    return jax.nn.softplus(-logits)


def bce_fake(logits: jax.Array) -> jax.Array:
    """-log(1 - sigmoid(logits)): binary cross-entropy with target "fake" (Goodfellow et al. 2014)."""
    return jax.nn.softplus(logits)


def hinge(scores: jax.Array) -> jax.Array:
    """max(0, 1 - scores): no gradient for a score above 1 (Lim & Ye 2017, arXiv 1705.02894)."""
    return jax.nn.relu(1.0 - scores)


def least_squares(scores: jax.Array, target: float) -> jax.Array:
    """½ (scores - target)² (Mao et al. 2017, arXiv 1611.04076, equation 2)."""
    return 0.5 * jnp.square(scores - target)


def relativistic(scores: jax.Array, others: jax.Array) -> jax.Array:
    """-log sigmoid(scores - others): each image is more real than its partner (Jolicoeur-Martineau 2018, 1807.00734).

    Each score has one partner, as in R3GAN (Huang et al. 2024, arXiv 2501.05441). It is not compared with the mean of
    the others.
    """
    return jax.nn.softplus(others - scores)


# ── penalties: a critic and images float32[b, H, W, C] -> float32[b] ────────────────────────


def interpolate(real: jax.Array, fake: jax.Array, weight: jax.Array) -> jax.Array:
    """weight * real + (1 - weight) * fake, with one weight per image, float32[b]."""
    weight = weight[:, None, None, None]
    return weight * real + (1 - weight) * fake


def squared_gradient_norm(critic: Critic, images: jax.Array) -> jax.Array:
    """Squared norm of the gradient of the critic's output, or of the sum of its outputs, in each image.

    The critic must treat images independently (no batch normalisation). Only then is the gradient of the summed output
    the stack of the per-image gradients.
    """
    gradient = jax.grad(lambda x: critic(x).sum())(images)
    return jnp.sum(jnp.square(gradient), axis=(1, 2, 3))


def safe_sqrt(square: jax.Array) -> jax.Array:
    """Square root of numbers >= 0, with derivative 0 at 0."""
    positive = square > 0
    # sqrt has no derivative at 0; the inner where keeps an infinity out of the backward pass.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def gradient_norm(critic: Critic, images: jax.Array) -> jax.Array:
    """Norm of the gradient of the critic's output in each image, safe to differentiate where it is zero."""
    return safe_sqrt(squared_gradient_norm(critic, images))


def two_sided_penalty(norm: jax.Array) -> jax.Array:
    """(|gradient| - 1)², the two-sided penalty of WGAN-GP (Gulrajani et al. 2017, eq. 3)."""
    return jnp.square(norm - 1.0)


def zero_centered_penalty(square: jax.Array, gamma: float) -> jax.Array:
    """½ gamma |gradient|²: R1 on real images, R2 on fake ones (Mescheder et al. 2018, arXiv 1801.04406)."""
    return 0.5 * gamma * square


def lazy_regularization(lazy: int, penalty: Callable[..., Any], *rows: jax.Array) -> Any:
    """Compute penalty(*rows) of every `lazy`-th row, weighted by `lazy`, and 0 for the others: a tree of float32[b].

    Lazy regularisation (Karras et al. 2020, arXiv 1912.04958) skips batches; this skips rows within each batch. Mean
    and cost are the same, and every step is the same program.

    Raises a UserError if `lazy` does not divide the number of rows.
    """
    if lazy == 1:
        return penalty(*rows)
    count = len(rows[0])
    if lazy < 1 or count % lazy:
        raise UserError(
            f"config.objective.lazy is {lazy}: it should divide the {count} images of the batch on each device; "
            "use --config.objective.lazy=1, or another batch size"
        )
    some = penalty(*(row[::lazy] for row in rows))
    return jax.tree.map(lambda each: jnp.pad(lazy * each[:, None], ((0, 0), (0, lazy - 1))).reshape(count), some)


# ── reconstruction: images float32[b, H, W, C] -> float32[b] ────────────────────────────────


def l1(images: jax.Array, others: jax.Array) -> jax.Array:
    """Mean absolute difference of two images."""
    return jnp.mean(jnp.abs(images - others), axis=(1, 2, 3))


def l2(images: jax.Array, others: jax.Array) -> jax.Array:
    """Mean squared difference of two images."""
    return jnp.mean(jnp.square(images - others), axis=(1, 2, 3))


def laplacian_l1(images: jax.Array, others: jax.Array) -> jax.Array:
    """Σ_j 2^(2j) |L^j(x) - L^j(y)|₁ / (H W C) over the levels L^j of the Laplacian pyramid, j = 0 the finest.

    Ling & Okada 2006, as in GLO (Bojanowski et al. 2018, arXiv 1707.05776). Level j has 2^(2j) times fewer values
    than the image, so this is the sum of the levels' mean absolute differences.
    """
    levels = laplacian_pyramid(images - others)  # the pyramid is linear
    return jnp.asarray(sum(jnp.mean(jnp.abs(level), axis=(1, 2, 3)) for level in levels))


def laplacian_pyramid(images: jax.Array) -> list[jax.Array]:
    """Laplacian pyramid (Burt & Adelson 1983): what each halving loses, finest first, then the smallest image.

    Halves both sides while they are even and at least 8: 28 -> 14 -> 7, 96 x 48 -> ... -> 12 x 6.
    """
    levels = []
    while all(side % 2 == 0 and side >= 8 for side in images.shape[1:3]):
        small = _reduce(_reduce(images, 1), 2)
        levels.append(images - _expand(_expand(small, 1), 2))
        images = small
    return [*levels, images]


def _reduce(x: jax.Array, axis: int) -> jax.Array:
    """Apply the binomial filter (1, 4, 6, 4, 1) / 16 along an even axis, edges repeated; keep every second value."""
    side = x.shape[axis]
    padded = jnp.pad(x, [(2, 2) if i == axis else (0, 0) for i in range(x.ndim)], mode="edge")
    shifted = (jax.lax.slice_in_dim(padded, start, start + side - 1, 2, axis) for start in range(5))
    return jnp.asarray(sum(weight / 16 * values for weight, values in zip((1, 4, 6, 4, 1), shifted, strict=True)))


def _expand(x: jax.Array, axis: int) -> jax.Array:
    """Double the number of values along an axis by the same filter."""
    side = x.shape[axis]
    padded = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)], mode="edge")
    before, after = (jax.lax.slice_in_dim(padded, start, start + side, 1, axis) for start in (0, 2))
    # The filter's even taps (1, 6, 1) / 8 give the values at old places, its odd taps (4, 4) / 8 those between them.
    both = jnp.stack([(before + 6 * x + after) / 8, (x + after) / 2], axis=axis + 1)
    return both.reshape(*x.shape[:axis], 2 * side, *x.shape[axis + 1 :])


def gaussian_nll(images: jax.Array, mean: jax.Array, deviation: float) -> jax.Array:
    """-log N(images; mean, deviation² I) in nats, summed over pixels."""
    values = images[0].size
    square = jnp.sum(jnp.square((images - mean) / deviation), axis=(1, 2, 3))
    return 0.5 * square + values * (jnp.log(deviation) + 0.5 * jnp.log(2 * jnp.pi))


def kl_to_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)): float32[b, d] -> [b] (Kingma & Welling 2014, appendix B)."""
    return 0.5 * jnp.sum(jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1.0, axis=1)


# ── classes: logits float32[b, K] -> float32[b] ─────────────────────────────────────────────


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """-log p(label), with p = softmax(logits) and label int32[b]."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], axis=1)[:, 0]


def entropy(logits: jax.Array) -> jax.Array:
    """-Σ_k p_k log p_k with p = softmax(logits): log K where all classes are equally likely."""
    return -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=1)


def style_ambiguity(logits: jax.Array) -> jax.Array:
    """-Σ_k [ 1/K log p_k + (1 - 1/K) log(1 - p_k) ]: smallest where all K >= 2 classes are equally likely.

    The style ambiguity loss of CAN (Elgammal et al. 2017, arXiv 1706.07068), p = softmax(logits).
    """
    classes = logits.shape[1]
    # log(1 - p_k) from the logits of the other classes: 1 - p_k itself would cancel to 0 where p_k is close to 1.
    others = jnp.where(jnp.eye(classes, dtype=bool)[None], -jnp.inf, logits[:, None, :])
    log_not = jax.nn.logsumexp(others, axis=2) - jax.nn.logsumexp(logits, axis=1, keepdims=True)
    return -jnp.sum(jax.nn.log_softmax(logits) / classes + (1 - 1 / classes) * log_not, axis=1)
