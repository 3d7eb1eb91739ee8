"""Train: python -m logogan_jax.main --config=configs/wgan56.py [--workdir=DIR] [--config.train.batch_size=32].

Status 0: finished, or --max_cost is spent. 2: a mistake to mend. 3: training has diverged. Any other: something came
between, and the same command goes on; 75 says so in good order.
"""

import functools
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from logogan_jax.config import default_dataset
from logogan_jax.core import cache, cli
from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.distributed import supervisor
from logogan_jax.training.reporting import cost


def define():
    """The flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to train: a file of configs/", lock_config=True)
    flags.DEFINE_string("workdir", None, "folder of the run; default: runs/<config name>")
    flags.DEFINE_string(
        "price", "", "what the machines of the run cost together: dollars per hour, or one of cloud/prices.csv"
    )
    flags.DEFINE_float("max_cost", None, "stop, with a checkpoint, once the run has cost so many dollars")
    flags.DEFINE_string("coordinator", "", "of several processes, one on each host: HOST:PORT of process 0, or auto")
    flags.DEFINE_integer("num_processes", None, "how many there are; not with auto")
    flags.DEFINE_integer("process_id", None, "which of them this is, from 0; not with auto")


def main():
    """The command; heavy imports wait until flags and keys are known to be right."""
    values = flags.FLAGS
    budget = cost.parse_budget(values.price, values.max_cost)
    meeting = _meeting(values.coordinator, values.num_processes, values.process_id)
    name = pathlib.Path(config_flags.get_config_filename(values["config"])).stem
    work = functools.partial(_train, values.config, values.workdir or f"runs/{name}", budget, meeting)
    supervisor.run_supervised(work) if meeting else work()


def _train(config, workdir, budget, meeting):
    if meeting:
        from logogan_jax.distributed import multihost

        multihost.initialize(*meeting)
    default_dataset.given(config)
    from logogan_jax import train

    cache.enable_compilation_cache()
    finished = train.train(config, workdir, budget)
    if meeting:
        multihost.shutdown()
    if not finished:
        sys.exit(Unfinished.status)


def _meeting(coordinator, count, number):
    """(coordinator, processes, number of this one), or () where one process trains alone."""
    rest = {"num_processes": count, "process_id": number}
    given = [name for name, value in rest.items() if value is not None]
    if coordinator in ("", "auto") and given:
        raise UserError(f"--{given[0]} needs --coordinator=HOST:PORT, the address of process 0")
    if coordinator not in ("", "auto") and len(given) < 2:
        missing = next(name for name in rest if name not in given)
        raise UserError(
            f"--coordinator={coordinator} needs --num_processes=N and --process_id=I: --{missing} is missing"
        )
    return (coordinator, count, number) if coordinator else ()


def command() -> None:
    """Run this module as the command logogan-train."""
    cli.run(main, define, required=["config"])


if __name__ == "__main__":
    command()
