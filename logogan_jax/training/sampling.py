"""Pictures by the averaged networks of a state."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from logogan_jax.core import images, prng
from logogan_jax.data.batch import Batch
from logogan_jax.metrics.pixel_diversity import mean_pairwise_distance
from logogan_jax.objectives.base import Objective
from logogan_jax.training.model import merge
from logogan_jax.training.train_state import TrainState


def make_generate(
    objective: Objective, graphdefs: dict[str, nnx.GraphDef], label_counts: Sequence[int]
) -> Callable[..., jax.Array]:
    """Make generate(state, key, numbers int32[n], label=None, scale=1) -> uint8[n, H, W, C].

    Picture number i of a key is the same whatever others are drawn with it. Its label is label[i], int32[n], or is
    drawn as often as it occurs in the data. `label_counts` are the images of each label, [1] without labels. Of a
    generator that draws marks, pictures are `scale` times as high and as wide as in training.
    """
    # The upper bounds of all labels but the last, so that no rounding leads beyond it.
    bounds = np.cumsum(label_counts)[:-1] / np.sum(label_counts)

    def generate(
        state: TrainState, key: jax.Array, numbers: jax.Array, label: jax.Array | None = None, scale: int = 1
    ) -> jax.Array:
        networks = merge(_averaged(graphdefs, state), state.ema["params"], state.ema["model_state"])
        if label is None:
            # A number of its own for each picture, so that its label does not depend on how many are drawn at once.
            draws = prng.uniform(prng.per_example_keys(prng.fold_in(key, prng.LABEL), numbers))
            label = jnp.searchsorted(bounds, draws, side="right").astype(jnp.int32)
        # The prior may need networks: GLO fits a Gaussian to its learned codes.
        latents = objective.prior(networks, prng.per_example_keys(key, numbers))
        # Running statistics: those of a batch would make each picture depend on the others.
        sized = {"scale": scale} if scale > 1 else {}
        return images.to_uint8(networks.generator(latents, label, train=False, **sized))

    return generate


def make_reconstruct(objective: Objective, graphdefs: dict[str, nnx.GraphDef]) -> Callable[..., jax.Array]:
    """Make reconstruct(state, batch, key) -> uint8[b, H, W, C]: uint8 images, encoded and decoded again."""

    def reconstruct(state: TrainState, batch: Batch, key: jax.Array) -> jax.Array:
        networks = merge(_averaged(graphdefs, state), state.ema["params"], state.ema["model_state"])
        assert objective.reconstruct is not None, "this objective cannot reconstruct"
        keys = prng.per_example_keys(key, jnp.arange(len(batch.index)))
        batch = batch._replace(image=images.to_float(batch.image))
        decoded = objective.reconstruct(networks, batch, keys)  # pyright: ignore[reportArgumentType] - no NumPy here
        return images.to_uint8(decoded)

    return reconstruct


def _averaged(graphdefs: dict[str, nnx.GraphDef], state: TrainState) -> dict[str, nnx.GraphDef]:
    # Only these: pictures need neither the critic nor its memory.
    return {name: graphdefs[name] for name in state.ema["params"]}


class Snapshot(NamedTuple):
    """What is kept of a state for the host, computed by the devices before the next step takes its buffers.

    Attributes:
        state: a copy of the state.
        pixels: pictures of the run's own latents, uint8[n, H, W, C].
        diversity: mean distance between these pictures, over that between real images, float32[]; NaN where these
            have none.
    """

    state: TrainState
    pixels: jax.Array
    diversity: jax.Array


def make_snapshot(
    generate: Callable[..., jax.Array], key: jax.Array, numbers: jax.Array, real_distance: float
) -> Callable[[TrainState], Snapshot]:
    """Make a compiled function state -> Snapshot.

    Args:
        generate: as `make_generate` makes it.
        key: of the run's own latents, on the devices: its pictures are always of the same latents.
        numbers: of the pictures, int[n], on the devices.
        real_distance: mean distance between real images, above 0, or NaN.
    """

    @jax.jit
    def snapshot(state: TrainState, key: jax.Array, numbers: jax.Array) -> Snapshot:
        # One program for all three: the devices are asked once between two dispatches, however much is due.
        pixels = generate(state, key, numbers)
        return Snapshot(jax.tree.map(jnp.copy, state), pixels, mean_pairwise_distance(pixels) / real_distance)

    # Given as arguments: jit cannot close over arrays that lie on the devices of several processes.
    return lambda state: snapshot(state, key, numbers)
