"""Train the same batches on one, two, four and eight simulated CPU devices, and measure how far the results differ.

    python benchmarks/devices.py

WGAN-GP and a DCGAN with batch normalisation, at a quarter of their width, train for 20 steps of plain gradient descent
in float32. Adam would hide a wrong factor and enlarge a small difference. Each number of devices is compared with one
device, under shard_map and under pmap. `apart` is the largest difference of any parameter, moving average or statistic,
relative to the largest entry of its array, or to 0.001 if that is larger. `moved` is the same between the first and the
last step.

The activations are smooth here (softplus instead of ReLU). Where two orders of one sum differ in the last bit, a number
close to the kink of a ReLU can fall on either side of it, and the gradient jumps. `with_kinks` is the difference with
the networks' own ReLUs.

Writes benchmarks/results/devices-cpu.json, and ends with status 1 if any of `apart` is above 0.00001. The bytes that
devices exchange are counted in counted.json: `all_reduced_per_gradient`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from record import ROOT, parser, write_record

ROWS = {"wgan_gp": "wgan28", "dcgan": "dcgan28"}  # the shipped config of each objective
STEPS = 20
BATCH = 16
MAX_DIFFERENCE = 1e-5
DEVICE_COUNTS = (2, 4, 8)


def train(name: str, devices: int, mapping: str = "shard_map") -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a config for STEPS on some devices.

    Returns:
        Parameters, moving averages and statistics as {name: array} after the last step, and the same before the first.
    """
    import jax

    from logogan_jax.config import build_training, default_dataset, defaults, shipped
    from logogan_jax.training import train_state

    config = shipped.get_config(name)
    default_dataset.set_default_dataset(config)
    config.model.width = 16
    config.train.update(batch_size=BATCH, dtype="float32", parallel=mapping)
    config.data.rotate = 10.0
    for role in config.optimizer:
        config.optimizer[role] = defaults.block(name="sgd", learning_rate=3e-4)
    training = build_training.build(config, devices=jax.devices()[:devices])
    on_host = lambda state: jax.device_get(train_state.flatten_with_names((state.params, state.ema, state.model_state)))
    state = training.state
    initial = on_host(state)
    for step in range(STEPS):
        state, _ = training.runner.program(1)(state, training.runner.source.at(step, 1))
    training.runner.source.close()
    return on_host(state), initial


def max_difference(arrays: dict[str, Any], others: dict[str, Any]) -> float:
    """Return the largest difference of two {name: array}, relative to the largest entry of the array or 0.001."""
    import numpy as np

    relative = lambda x, y: np.abs(x - y).max() / max(np.abs(y).max(), 1e-3)
    return float(max(relative(arrays[name], others[name]) for name in others if others[name].size))


@contextlib.contextmanager
def smooth_activations() -> Iterator[None]:
    """Replace ReLU and leaky ReLU by functions without a kink, in networks that are called inside the block."""
    import jax
    from flax import nnx

    relu = nnx.relu
    leaky_relu = nnx.leaky_relu
    smooth = lambda x: jax.nn.softplus(16 * x) / 16
    nnx.relu = smooth
    nnx.leaky_relu = lambda x, slope=0.01: slope * x + (1 - slope) * smooth(x)
    try:
        yield
    finally:
        nnx.relu = relu
        nnx.leaky_relu = leaky_relu


def measure(name: str) -> dict[str, Any]:
    """Return the differences of a config: `apart`, `moved` and `with_kinks`."""
    with smooth_activations():
        one_device, initial = train(name, 1)
        apart = {f"shard_map_{count}": max_difference(train(name, count)[0], one_device) for count in DEVICE_COUNTS}
        apart["pmap_8"] = max_difference(train(name, 8, "pmap")[0], one_device)
    with_kinks = max_difference(train(name, 8)[0], train(name, 1)[0])
    moved = max_difference(initial, one_device)
    return {"apart": apart, "moved": moved, "with_kinks": {"shard_map_8": with_kinks}}


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    os.environ["JAX_NUM_CPU_DEVICES"] = "8"  # before JAX is imported
    sys.path.insert(0, str(ROOT))
    import jax

    rows = {objective: measure(name) for objective, name in ROWS.items()}
    values = {"jax": jax.__version__, "steps": STEPS, "batch": BATCH, **rows}
    write_record("devices-cpu", "python benchmarks/devices.py", values)
    for objective, figures in rows.items():
        print(f"{objective}: {figures}")
    sys.exit(any(value > MAX_DIFFERENCE for figures in rows.values() for value in figures["apart"].values()))


if __name__ == "__main__":
    main()
