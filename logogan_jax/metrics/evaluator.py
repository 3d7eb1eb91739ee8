"""Measure a generator against images that it was never trained on."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from logogan_jax.core import prng
from logogan_jax.core.intervals import Estimate
from logogan_jax.data.dataset import Subset
from logogan_jax.distributed import data_parallel
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.metrics import compute, feature_cache, features, overfitting
from logogan_jax.metrics.features import FeatureNetwork, Features
from logogan_jax.metrics.overfitting import CriticMeter, Scores

MAX_HELD_OUT = 5_000  # held-out images that a run measures itself against, at most
MIN_HELD_OUT = 24  # held-out images below which they are better trained on
CHUNK = 64  # pictures that a device draws at a time


class Observation(NamedTuple):
    """The Features of pictures that a state generates, and the Scores of its critic, if it has one."""

    features: Features
    scores: Scores | None


def sample_key(seed: int) -> jax.Array:
    """Return the key of the pictures by which a run measures itself."""
    return prng.fold_in(jax.random.key(seed), prng.EVALUATE)


class Evaluator:
    """Draws pictures of fixed latents from the states of a run and measures them.

    `generate(state, key, numbers)` draws them, `reals` are the Features of the held-out images, `parallel` the
    devices, which share the pictures; `meter`, if there is one, measures critics. The latents are the same every time:
    what changes is the state.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        reals: Features,
        generate: Callable[[Any, jax.Array, jax.Array], jax.Array],
        parallel: DataParallel,
        meter: CriticMeter | None,
        *,
        samples: int,
        key: jax.Array,
    ):
        self.kid = compute.metric_name("kid", network.name)
        self.samples = samples
        self._reals = reals
        self._generate = generate
        self._parallel = parallel
        self._meter = meter
        weights, self._key = parallel.device_put((network.weights, key), data_parallel.REPLICATED)
        self._network = network._replace(weights=weights)

    def observe(self, state: Any) -> tuple[Observation, float]:
        """Draw pictures of a TrainState, embed them, and let its critic score them.

        Returns:
            The Observation, and the seconds that it took the devices.
        """
        start = time.perf_counter()
        chunks = []
        count = CHUNK * len(self._parallel.devices)
        for first in range(0, self.samples, count):
            numbers = self._parallel.device_put(np.arange(first, first + count), data_parallel.SHARDED)
            chunks.append(self._generate(state, self._key, numbers))
        pixels = np.concatenate(data_parallel.gather(chunks))[: self.samples]
        fakes = features.embed(self._network, pixels, parallel=self._parallel)
        scores = self._meter.score(state, pixels) if self._meter else None
        return Observation(fakes, scores), time.perf_counter() - start

    def measure(self, seen: Observation) -> dict[str, Estimate]:
        """Return every metric of what was seen; it uses the host alone, so the devices can go on training."""
        estimates = compute.compute_metrics(self._reals, seen.features, name=self._network.name)
        return estimates | ({overfitting.NAME: overfitting.overfitting(seen.scores)} if seen.scores else {})


def embed_held_out(network: FeatureNetwork, subset: Subset, fingerprint: str) -> Features:
    """Return the Features of the first MAX_HELD_OUT images of a Subset, cached by the data set's fingerprint."""
    images = f"{fingerprint[:24]}-{subset.start}+{min(len(subset), MAX_HELD_OUT)}"
    return feature_cache.load_or_embed(network, images, lambda: subset.pixels(MAX_HELD_OUT))


def to_log_scalars(estimates: dict[str, Estimate], seconds: float) -> dict[str, float]:
    """Return the numbers of an evaluation by their names in the log."""
    values = {f"evaluation/{name}": estimate.value for name, estimate in estimates.items()}
    for name, estimate in estimates.items():
        values |= {f"evaluation/{name}_low": estimate.low, f"evaluation/{name}_high": estimate.high}
    return {**values, "evaluation/seconds": seconds}
