"""Images that are read from shards and decoded in a second, and what streaming them costs training.

    python benchmarks/reader.py

The embedded logos at 28, 56 and 112 pixels, decoded in this process and by 1, 2, ... processes up to the number of
cores; then steps of the quickstart with the pixels on the device and with the pixels streamed, in turn, in one run.
Writes benchmarks/results/reader-cpu.json.
"""

import contextlib
import json
import statistics
import time

import numpy as np
from record import ROOT, stamp

from data_prep import make_logos
from logogan_jax.config import build_training
from logogan_jax.core import files
from logogan_jax.data import decode_pool
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.training import step_runner

SIZES, IMAGES, REPEATS = (28, 56, 112), 10_000, 5
STEPS, ROUNDS = 100, 8  # steps timed at a time, and how often for each source


def rate(decode, positions):
    """Images per second of decode(positions), once it is warm: median of REPEATS."""
    decode(positions)
    rates = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        decode(positions)
        rates.append(len(positions) / (time.perf_counter() - began))
    return statistics.median(rates)


def decoded(size):
    """{"this process" or number of processes: {"images_per_second", "per_core"}} for logos of a size."""
    folder = make_logos.embedded_logos(size=size, channels=3)
    part = TFRecordDataset(folder, size=(size, size), channels=3)
    positions = np.arange(IMAGES) % len(part)
    found = {"this process": (rate(part.images, positions), 1)}
    for count in range(1, decode_pool.available_cores() + 1):
        with contextlib.closing(decode_pool.DecoderPool(part, count)) as workers:
            found[f"{count} processes"] = rate(workers.images, positions), count
    return {
        name: {"images_per_second": round(each), "per_core": round(each / count)}
        for name, (each, count) in found.items()
    }


class Trained:
    """The quickstart under way with one of the sources."""

    def __init__(self, config, source):
        config = config.copy_and_resolve_references()
        config.data.source = source
        self._made = build_training.training(build_training.resolved(config))
        self._run = step_runner.Dispatch(self._made.program, print, STEPS)
        self._state, self._number = self._made.state, 0

    def rate(self):
        """Steps per second of the next STEPS."""
        made, began = self._made, time.perf_counter()
        for number in range(self._number, self._number + STEPS):
            self._state, metrics = self._run(1, self._state, made.source.at(number, 1))
        float(metrics[next(iter(metrics))][0])
        self._number += STEPS
        return STEPS / (time.perf_counter() - began)

    def close(self):
        """Stop reading."""
        self._made.source.close()


def streamed():
    """Steps per second of the quickstart by source, and the share that is left of those with resident pixels."""
    from configs import quickstart

    config = quickstart.get_config()
    config.data.dir = str(make_logos.embedded_logos(size=config.data.size, channels=3))
    rates = {"resident": [], "stream": []}
    with contextlib.ExitStack() as stack:
        runs = {name: stack.enter_context(contextlib.closing(Trained(config, name))) for name in rates}
        for run in runs.values():
            run.rate()
        for _ in range(ROUNDS):
            for name, run in runs.items():
                rates[name].append(run.rate())
    pairs = [stream / resident for resident, stream in zip(rates["resident"], rates["stream"], strict=True)]
    steps = {name: round(statistics.median(each), 2) for name, each in rates.items()}
    share = {"median": statistics.median(pairs), "lowest": min(pairs), "highest": max(pairs)}
    return {"steps_per_second": steps, "stream_over_resident": share}


def main():
    """The command."""
    record = {
        **stamp("python benchmarks/reader.py"),
        "decoded": {f"{size} px": decoded(size) for size in SIZES},
        "quickstart": streamed(),
    }
    path = ROOT / "benchmarks" / "results" / "reader-cpu.json"
    files.write_json(path, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
