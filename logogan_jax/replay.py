"""Run again the steps in which a run's numbers stopped being finite: python -m logogan_jax.replay --workdir=RUN."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict

from logogan_jax.config import build_training, restore
from logogan_jax.config.build_model import build_model
from logogan_jax.core import backend, cli
from logogan_jax.core.errors import Diverged
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.data.streaming import StreamingSource
from logogan_jax.distributed import data_parallel
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.training import metric_accumulator, nonfinite
from logogan_jax.training.metric_accumulator import NonFinite


class Replay(NamedTuple):
    """What running the recorded steps again gave.

    Attributes:
        recorded: the number that was not finite then.
        now: the first number that is not finite now, or None.
        metrics: values of each metric, one for each step.
    """

    recorded: NonFinite
    now: NonFinite | None
    metrics: dict[str, list[float]]


def replay(folder: pathlib.Path, config: ConfigDict, info: DatasetInfo, devices: Sequence[Any] | None = None) -> Replay:
    """Run the steps again that a folder of nonfinite/ holds, on some jax.Devices or on all."""
    model = build_model(config, info)
    parallel = DataParallel(config.train.parallel, config.train.batch_size, devices)
    recorded = nonfinite.read(folder, model.init_state())
    count = len(recorded.batch.image)
    runner = build_training.make_runner(config, model, parallel, StreamingSource)
    state = parallel.device_put(recorded.state, runner.layout)
    feed = parallel.device_put(recorded.batch, data_parallel.BATCH)
    _, metrics = runner.program(count)(state, feed)
    steps = metrics.by_step()
    bad = [metric_accumulator.first_non_finite(step, values) for step, values in enumerate(steps, recorded.step + 1)]
    values = {name: [step[name] for step in steps] for name in metrics.names}
    return Replay(recorded.bad, next(filter(None, bad), None), values)


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run that diverged")


def main() -> None:
    """Run the command."""
    backend.start()
    workdir, config, info = restore.read_config(flags.FLAGS.workdir)
    folder = nonfinite.newest(workdir)
    result = replay(folder, config, info)
    for name, values in result.metrics.items():
        print(f"{name:60} {'  '.join(f'{value:12.5g}' for value in values)}")
    print(f"\nrecorded  {result.recorded}\nnow       {result.now or 'every number is finite'}")
    if config.train.dtype != "float32":
        config.train.dtype = "float32"
        in_float32 = replay(folder, config, info).now
        print(f"float32   {in_float32 or 'every number is finite: the precision is to blame'}")
    if result.now is None or (result.now.step, result.now.name) != (result.recorded.step, result.recorded.name):
        raise Diverged(f"{folder} is not reproduced here: use the device and the versions that summary.json names")


def command() -> None:
    """Run this module as the command logogan-replay."""
    cli.run(main, define, required=["workdir"])


if __name__ == "__main__":
    command()
