"""Pictures by the averaged networks of a state."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

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

_STEP = 0.1  # of a difference: wide enough for float32, small beside a latent number's deviation of about 1


class Latents(NamedTuple):
    """What n pictures are made from: latent vectors z float32[n, latent] and labels int32[n]."""

    z: Any
    label: Any


def make_latents(
    objective: Objective, graphdefs: dict[str, nnx.GraphDef], label_counts: Sequence[int]
) -> Callable[..., Latents]:
    """Make latents(state, key, numbers int32[n], label=None) -> Latents, those of the pictures that generate draws.

    `key` is that of all pictures, or key[n].
    """

    def latents(state: TrainState, key: jax.Array, numbers: jax.Array, label: jax.Array | None = None) -> Latents:
        networks = _averaged_networks(graphdefs, state)
        return _latents(objective, networks, _bounds(label_counts), key, numbers, label)

    return latents


def make_labels(label_counts: Sequence[int]) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Make labels(key, numbers int32[n]) -> int32[n], those of the pictures that generate draws of all labels."""
    return lambda key, numbers: _labels(_bounds(label_counts), key, numbers)


def make_synthesize(graphdefs: dict[str, nnx.GraphDef]) -> Callable[..., jax.Array]:
    """Make synthesize(state, latents, scale=1) -> uint8[n, H, W, C], the pictures of Latents.

    Of a generator that draws marks, they are `scale` times as high and as wide as in training.
    """

    def synthesize(state: TrainState, latents: Latents, scale: int = 1) -> jax.Array:
        return _synthesize(_averaged_networks(graphdefs, state), latents, scale)

    return synthesize


def make_cover(graphdefs: dict[str, nnx.GraphDef]) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Make cover(state, latents, scale=1) -> (shares uint8[n, H, W, k], inks uint8[n, k, 1|3]) of pictures of marks."""

    def cover(state: TrainState, latents: Latents, scale: int = 1) -> tuple[jax.Array, jax.Array]:
        generator = _averaged_networks(graphdefs, state).generator
        shares, inks = generator.cover(latents.z, latents.label, train=False, scale=scale)
        return images.to_uint8(2 * shares[..., None] - 1)[..., 0], images.to_uint8(2 * inks[..., None] - 1)[..., 0]

    return cover


def make_prior_mean(objective: Objective, graphdefs: dict[str, nnx.GraphDef]) -> Callable[[TrainState], Any] | None:
    """Make prior_mean(state) -> float32[latent] or one number, or None where the prior has no middle."""
    prior_mean = objective.prior_mean
    if prior_mean is None:
        return None
    return lambda state: prior_mean(_averaged_networks(graphdefs, state))


def make_metric(graphdefs: dict[str, nnx.GraphDef]) -> Callable[[TrainState, Latents], jax.Array]:
    """Make metric(state, latents) -> float32[latent, latent], the mean of J^T J over n Latents.

    J is the Jacobian of a picture by z. It comes from differences: our convolutions have gradients of their own, which
    are for reverse mode alone.
    """

    def metric(state: TrainState, latents: Latents) -> jax.Array:
        generator = _averaged_networks(graphdefs, state).generator

        def of_one(each: Latents) -> jax.Array:
            # All differences in one batch: two pictures for each number of z.
            steps = _STEP * jnp.eye(each.z.shape[0], dtype=each.z.dtype)
            z = jnp.concatenate([each.z + steps, each.z - steps])
            label = jnp.broadcast_to(each.label, z.shape[:1])
            pixels = generator(z, label, train=False).astype(jnp.float32).reshape(2, len(steps), -1)
            jacobian = (pixels[0] - pixels[1]) / (2 * _STEP)
            return jnp.matmul(jacobian, jacobian.T, precision="highest")

        return jax.lax.map(of_one, latents).mean(0)  # one at a time: a Jacobian has latent x pixels numbers

    return metric


def make_generate(
    objective: Objective, graphdefs: dict[str, nnx.GraphDef], label_counts: Sequence[int]
) -> Callable[..., jax.Array]:
    """Make generate(state, key, numbers int32[n], label=None) -> uint8[n, H, W, C].

    Picture number i of a key is the same whatever others are drawn with it. Its label is label[i], int32[n], or is
    drawn as often as it occurs in the data. `label_counts` are the images of each label, [1] without labels.
    """
    bounds = _bounds(label_counts)

    def generate(state: TrainState, key: jax.Array, numbers: jax.Array, label: jax.Array | None = None) -> jax.Array:
        networks = _averaged_networks(graphdefs, state)
        return _synthesize(networks, _latents(objective, networks, bounds, key, numbers, label))

    return generate


def _bounds(label_counts: Sequence[int]) -> np.ndarray:
    """Return the upper bounds of all labels but the last, so that no rounding leads beyond it."""
    return np.cumsum(label_counts)[:-1] / np.sum(label_counts)


def _latents(
    objective: Objective,
    networks: SimpleNamespace,
    bounds: np.ndarray,
    key: jax.Array,
    numbers: jax.Array,
    label: jax.Array | None,
) -> Latents:
    if label is None:
        label = _labels(bounds, key, numbers)
    # The prior may need networks: GLO fits a Gaussian to its learned codes.
    return Latents(objective.prior(networks, prng.per_example_keys(key, numbers)), label)


def _labels(bounds: np.ndarray, key: jax.Array, numbers: jax.Array) -> jax.Array:
    # A number of its own for each picture, so that its label does not depend on how many are drawn at once.
    label_key = jnp.vectorize(lambda one: prng.fold_in(one, prng.LABEL))(key)
    draws = prng.uniform(prng.per_example_keys(label_key, numbers))
    return jnp.searchsorted(bounds, draws, side="right").astype(jnp.int32)


def _synthesize(networks: SimpleNamespace, latents: Latents, scale: int = 1) -> jax.Array:
    # Running statistics: those of a batch would make each picture depend on the others.
    sized = {"scale": scale} if scale > 1 else {}
    return images.to_uint8(networks.generator(latents.z, latents.label, train=False, **sized))


def make_reconstruct(objective: Objective, graphdefs: dict[str, nnx.GraphDef]) -> Callable[..., jax.Array]:
    """Make reconstruct(state, batch, key) -> uint8[b, H, W, C]: uint8 images, encoded and decoded again."""

    def reconstruct(state: TrainState, batch: Batch, key: jax.Array) -> jax.Array:
        networks = _averaged_networks(graphdefs, state)
        assert objective.reconstruct is not None, "this objective cannot reconstruct"
        keys = prng.per_example_keys(key, jnp.arange(len(batch.index)))
        batch = batch._replace(image=images.to_float(batch.image))
        decoded = objective.reconstruct(networks, batch, keys)  # pyright: ignore[reportArgumentType] - no NumPy here
        return images.to_uint8(decoded)

    return reconstruct


def _averaged_networks(graphdefs: dict[str, nnx.GraphDef], state: TrainState) -> SimpleNamespace:
    # Only these: pictures need neither the critic nor its memory.
    averaged = {name: graphdefs[name] for name in state.ema["params"]}
    return merge(averaged, state.ema["params"], state.ema["model_state"])


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
