"""A critic that sees augmented images while it trains, and how probable each augmentation is.

DiffAugment (Zhao et al. 2020, arXiv 2006.10738) augments real and generated images alike, so that the critic cannot
memorise a small data set: the transforms are in diffaugment.py. Adaptive discriminator augmentation, ADA (Karras et al.
2020, arXiv 2006.06676, section 3), raises their probability while the critic overfits.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from logogan_jax.core import prng

TARGET = 0.6  # mean sign of a critic's scores of real images at which it does not yet overfit (ADA's r_t)


class AugmentProbability(nnx.Variable):
    """float32[] in [0, 1]: the probability of each transform for each image. It is not trained by gradients."""


class AugmentedCritic(nnx.Module):
    """A critic behind `augment(row_keys, images, probability) -> images`, which is applied in training only."""

    def __init__(self, critic: nnx.Module, augment: Callable[..., jax.Array], probability: float):
        self.critic = critic
        self.augment = augment
        # Part of the critic's state, so that it is saved with it and a resumed run goes on with the same value.
        self.augment_probability = AugmentProbability(jnp.float32(probability))

    def __call__(
        self, x: jax.Array, label: jax.Array | None = None, *, keys: jax.Array | None = None, train: bool
    ) -> jax.Array:
        """Score images float32[n, H, W, C] as the critic does.

        Training takes one key per row, key[n]. Rows with the same key are augmented in the same way.
        """
        # In evaluation and in a user's hands the critic scores images as they are.
        if train:
            assert keys is not None, "training needs a key per row"
            # Other keys than the critic's, whose dropout must not follow the augmentation.
            keys, augment_keys = prng.split(keys, 2)
            x = self.augment(augment_keys, x, self.augment_probability[...])
        return self.critic(x, label, keys=keys, train=train)


def adaptive_probability(
    *, images: float, images_per_update: float, target: float = TARGET, highest: float = 1.0
) -> Callable[..., dict]:
    """ADA's rule as a function (model_state, metrics) -> model_state of an AugmentedCritic.

    The probability rises while metrics["sign"], the mean sign of the scores of real images, is above `target`, and
    falls while it is below. It stays between 0 and `highest`, and needs `images` images to change by 1.
    """
    step = images_per_update / images

    def update(model_state: dict, metrics: dict[str, jax.Array]) -> dict:
        # A fixed step in the direction of the sign, not in proportion to it, as in the paper.
        probability = model_state["augment_probability"] + step * jnp.sign(metrics["sign"] - target)
        return {**model_state, "augment_probability": jnp.clip(probability, 0.0, highest)}

    return update
