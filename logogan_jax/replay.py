"""Run again the steps in which a run's numbers stopped being finite: python -m logogan_jax.replay --workdir=RUN."""

import jax
import numpy as np
from absl import flags

from logogan_jax.config import build_model, build_training, restore
from logogan_jax.core import cache, cli
from logogan_jax.core.errors import Diverged
from logogan_jax.data.streaming import StreamingSource
from logogan_jax.distributed import data_parallel
from logogan_jax.training import metric_accumulator, nonfinite


def replay(folder, config, about, devices=None):
    """(Broken as recorded, Broken now or None, {name: [float of each step]}) of a folder of nonfinite/."""
    made = build_model.of(config, about)
    parallel = data_parallel.DataParallel(config.train.parallel, config.train.batch_size, devices)
    recorded, first, state, batch = nonfinite.read(folder, made.state)
    program = build_training.programs(config, made, parallel, StreamingSource)(len(batch.image))
    state, feed = parallel.device_put(state, data_parallel.REPLICATED), parallel.device_put(batch, data_parallel.BATCH)
    metrics = jax.device_get(program(state, feed)[1])
    broken = None
    for i in range(len(batch.image)):
        found = metric_accumulator.broken(first + i + 1, {name: float(value[i]) for name, value in metrics.items()})
        broken = broken or found
    return recorded, broken, {name: np.asarray(value).tolist() for name, value in metrics.items()}


def define():
    """The flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run that diverged")


def main():
    """The command."""
    cache.enable_compilation_cache()
    workdir, config, about = restore.config_of(flags.FLAGS.workdir)
    folder = nonfinite.newest(workdir)
    recorded, broken, metrics = replay(folder, config, about)
    for name, values in metrics.items():
        print(f"{name:60} {'  '.join(f'{value:12.5g}' for value in values)}")
    print(f"\nrecorded  {recorded}\nnow       {broken or 'every number is finite'}")
    if config.train.dtype != "float32":
        config.train.dtype = "float32"
        print(f"float32   {replay(folder, config, about)[1] or 'every number is finite: the precision is to blame'}")
    if broken is None or (broken.step, broken.name) != (recorded.step, recorded.name):
        raise Diverged(f"{folder} is not reproduced here: use the device and the versions that summary.json names")


def command() -> None:
    """Run this module as the command logogan-replay."""
    cli.run(main, define, required=["workdir"])


if __name__ == "__main__":
    command()
