"""A generator measured against images that it was never trained on."""

import time

import jax
import numpy as np

from logogan_jax.core import prng
from logogan_jax.distributed import data_parallel
from logogan_jax.metrics import compute, feature_cache, features

MAX_HELD_OUT = 5_000  # held-out images that a run measures itself against, at most
MIN_HELD_OUT = 24  # held-out images below which they are better trained on
DRAWN = 64  # pictures that a device draws at a time


class Evaluator:
    """Draws pictures of fixed latents from the states of a run and measures them.

    `generate(state, key, numbers)` draws them, `reals` are the Features of the held-out images, `parallel` the
    devices, which share the pictures. The latents are the same every time: what changes is the state.
    """

    def __init__(self, network, reals, generate, parallel, *, samples, seed):
        self.kid = compute.metric_name("kid", network.name)
        self.samples, self._reals, self._generate, self._parallel = samples, reals, generate, parallel
        key = prng.fold_in(jax.random.key(seed), prng.EVALUATE)
        weights, self._key = parallel.device_put((network.weights, key), data_parallel.REPLICATED)
        self._network = network._replace(weights=weights)

    def embed_samples(self, state):
        """Features of the run's pictures of a state, and the seconds that the devices worked for them."""
        began, drawn, count = time.perf_counter(), [], DRAWN * len(self._parallel.devices)
        for first in range(0, self.samples, count):
            numbers = self._parallel.device_put(np.arange(first, first + count), data_parallel.SHARDED)
            drawn.append(self._generate(state, self._key, numbers))
        pixels = np.concatenate(self._parallel.gather(drawn))[: self.samples]
        found = features.embed(self._network, pixels, parallel=self._parallel)
        return found, time.perf_counter() - began

    def measure(self, found):
        """Features of pictures -> {metric: Estimate}; on the host alone, so that it may go on beside the devices."""
        return compute.compute_metrics(self._reals, found, name=self._network.name)


def embed_held_out(network, part, fingerprint):
    """Features of the images of a Subset that is held out, the first MAX_HELD_OUT, kept by the data's fingerprint."""
    images = f"{fingerprint[:24]}-{part.start}+{min(len(part), MAX_HELD_OUT)}"
    return feature_cache.load_or_embed(network, images, lambda: part.pixels(MAX_HELD_OUT))


def to_log_scalars(estimates, seconds):
    """The numbers of an evaluation by their names in the log."""
    values = {f"evaluation/{name}": each.value for name, each in estimates.items()}
    for name, each in estimates.items():
        values |= {f"evaluation/{name}_low": each.low, f"evaluation/{name}_high": each.high}
    return {**values, "evaluation/seconds": seconds}
