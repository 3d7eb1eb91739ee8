"""Train the same batches on one, two, four and eight simulated CPU devices, and tell how far the results are apart.

    python benchmarks/devices.py

WGAN-GP and a DCGAN with batch normalisation, at a quarter of their width, by plain gradient descent for 20 steps in
float32: Adam would hide a wrong factor, and make a large difference of a small one. Each is compared with one device,
under shard_map and under pmap. `apart` is the largest difference of any parameter, moving average or statistic, over
the largest entry of its array, or over 0.001 where that is less. `moved` is the same of the first and the last step.

Activations are smooth here (softplus for ReLU): where two orders of one sum differ in the last bit, a number that close
to the kink of a ReLU falls on either side of it, and the gradient jumps. `with_kinks` tells what that makes.

Writes benchmarks/results/devices-cpu.json, and ends with status 1 if any of `apart` is above 0.00001. What the devices
tell each other is counted in counted.json: `all_reduced_per_gradient`.
"""

import argparse
import contextlib
import importlib
import os
import pathlib
import sys

from record import ROOT, stamp

RESULTS = ROOT / "benchmarks" / "results" / "devices-cpu.json"
ROWS = {"wgan_gp": "wgan28", "dcgan": "dcgan28"}
STEPS, BATCH, MOST, COUNTS = 20, 16, 1e-5, (2, 4, 8)


def trained(name, devices, how="shard_map"):
    """(parameters, averages, statistics) by name after STEPS on so many devices, and the same before."""
    import jax

    from logogan_jax.config import build_training, default_dataset, defaults
    from logogan_jax.training import train_state

    config = importlib.import_module(f"configs.{name}").get_config()
    default_dataset.given(config)
    config.model.width = 16
    config.train.update(batch_size=BATCH, dtype="float32", parallel=how)
    config.data.rotate = 10.0
    for role in config.optimizer:
        config.optimizer[role] = defaults.block(name="sgd", learning_rate=3e-4)
    made = build_training.training(build_training.resolved(config), devices=jax.devices()[:devices])
    kept = lambda found: jax.device_get(train_state.paths((found.params, found.ema, found.stats)))
    now, first = made.state, kept(made.state)
    for number in range(STEPS):
        now, _ = made.program(1)(now, made.source.at(number, 1))
    made.source.close()
    return kept(now), first


def apart(a, b):
    """The largest difference of two trees, relative to the largest entry of its leaf or 0.001."""
    import numpy as np

    relative = lambda x, y: np.abs(x - y).max() / max(np.abs(y).max(), 1e-3)
    return float(max(relative(a[name], b[name]) for name in b if b[name].size))


@contextlib.contextmanager
def smooth():
    """Activations without kinks, in networks that are called meanwhile."""
    import jax
    from flax import nnx

    relu, leaky = nnx.relu, nnx.leaky_relu
    soft = lambda x: jax.nn.softplus(16 * x) / 16
    nnx.relu, nnx.leaky_relu = soft, lambda x, slope=0.01: slope * x + (1 - slope) * soft(x)
    try:
        yield
    finally:
        nnx.relu, nnx.leaky_relu = relu, leaky


def row(name):
    """The figures of a config."""
    with smooth():
        one, first = trained(name, 1)
        found = {f"shard_map_{count}": apart(trained(name, count)[0], one) for count in COUNTS}
        found["pmap_8"] = apart(trained(name, 8, "pmap")[0], one)
    kinks = apart(trained(name, 8)[0], trained(name, 1)[0])
    return {"apart": found, "moved": apart(first, one), "with_kinks": {"shard_map_8": kinks}}


def main():
    """The command."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ["JAX_NUM_CPU_DEVICES"] = "8"
    sys.path.insert(0, str(pathlib.Path(ROOT)))
    import jax

    from logogan_jax.core import files

    found = {objective: row(name) for objective, name in ROWS.items()}
    record = {**stamp("python benchmarks/devices.py"), "jax": jax.__version__, "steps": STEPS, "batch": BATCH, **found}
    files.write_json(RESULTS, record)
    for objective, figures in found.items():
        print(f"{objective}: {figures}")
    sys.exit(any(value > MOST for figures in found.values() for value in figures["apart"].values()))


if __name__ == "__main__":
    main()
