"""Scores of images by the critic of a state."""

from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from logogan_jax.core import images
from logogan_jax.objectives.base import Objective
from logogan_jax.training.model import merge
from logogan_jax.training.train_state import TrainState


def make_score(
    objective: Objective, graphdefs: dict[str, nnx.GraphDef], see: Callable[[jax.Array], jax.Array]
) -> Callable[[TrainState, np.ndarray, np.ndarray], jax.Array]:
    """Make score(state, pixels uint8[n, H, W, C], label int32[n]) -> float32[n], the critic's score of each image.

    `see` makes of images float32[n, H, W, C] in [-1, 1] what networks are trained on. The critic scores images as they
    are, without augmentation or dropout.
    """

    def score(state: TrainState, pixels: np.ndarray, label: np.ndarray) -> jax.Array:
        critic = {"critic": graphdefs["critic"]}
        networks = merge(critic, state.params, state.model_state)
        return objective.score(networks.critic(see(images.to_float(pixels)), label, train=False))

    return score
