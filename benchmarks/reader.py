"""Measure how many images are read and decoded in a second, and what streaming them costs training.

    python benchmarks/reader.py

Decodes the embedded logos at 28, 56 and 112 pixels in this process, and in 1, 2, ... processes up to the number of
cores. Then times steps of the quickstart with the pixels in device memory and with the pixels streamed, in turn, in one
run. Writes benchmarks/results/reader-cpu.json.
"""

import contextlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from record import parser, write_record

from data_prep import make_logos
from logogan_jax.config import build_training, shipped
from logogan_jax.data import decode_pool
from logogan_jax.data.dataset import TFRecordDataset

SIZES = (28, 56, 112)
IMAGES = 10_000
REPEATS = 5
STEPS = 100  # timed at a time
ROUNDS = 8  # for each source


def images_per_second(decode: Callable[[np.ndarray], Any], positions: np.ndarray) -> float:
    """Return the median over REPEATS of the images per second of decode(positions), after one call to warm up."""
    decode(positions)
    rates = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        decode(positions)
        rates.append(len(positions) / (time.perf_counter() - began))
    return statistics.median(rates)


def measure_decoding(size: int) -> dict[str, dict[str, int]]:
    """Decode logos of a size: {"this process" or "N processes": {"images_per_second", "per_core"}}."""
    folder = make_logos.embedded_logos(size=size, channels=3)
    dataset = TFRecordDataset(folder, size=(size, size), channels=3)
    positions = np.arange(IMAGES) % len(dataset)
    rates = {"this process": (images_per_second(dataset.images, positions), 1)}
    for count in range(1, decode_pool.available_cores() + 1):
        with contextlib.closing(decode_pool.DecoderPool(dataset, count)) as pool:
            rates[f"{count} processes"] = (images_per_second(pool.images, positions), count)
    return {
        name: {"images_per_second": round(rate), "per_core": round(rate / cores)}
        for name, (rate, cores) in rates.items()
    }


class TimedTraining:
    """The quickstart in training, with the data source "resident" or "stream"."""

    def __init__(self, config: ConfigDict, source: str):
        config = config.copy_and_resolve_references()
        config.data.source = source
        self._training = build_training.build(config, say=print)
        self._state = self._training.state
        self._step = 0

    def steps_per_second(self) -> float:
        """Time the next STEPS steps."""
        began = time.perf_counter()
        metrics: Any = None
        for step in range(self._step, self._step + STEPS):
            self._state, metrics = self._training.runner.run(self._state, step, step + 1)
        jax.block_until_ready(metrics)
        self._step += STEPS
        return STEPS / (time.perf_counter() - began)

    def close(self) -> None:
        """Stop reading images."""
        self._training.runner.source.close()


def measure_streaming() -> dict[str, Any]:
    """Time steps of the quickstart with both sources, and compare the streamed pixels with those in device memory."""
    config = shipped.get_config("quickstart")
    config.data.dir = str(make_logos.embedded_logos(size=config.data.size, channels=3))
    rates = {"resident": [], "stream": []}
    with contextlib.ExitStack() as stack:
        trainings = {name: stack.enter_context(contextlib.closing(TimedTraining(config, name))) for name in rates}
        for training in trainings.values():
            training.steps_per_second()  # warm up
        for _ in range(ROUNDS):
            for name, training in trainings.items():
                rates[name].append(training.steps_per_second())
    ratios = [stream / resident for resident, stream in zip(rates["resident"], rates["stream"], strict=True)]
    medians = {name: round(statistics.median(values), 2) for name, values in rates.items()}
    share = {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    return {"steps_per_second": medians, "stream_over_resident": share}


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    record = {
        "decoded": {f"{size} px": measure_decoding(size) for size in SIZES},
        "quickstart": measure_streaming(),
    }
    write_record("reader-cpu", "python benchmarks/reader.py", record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
