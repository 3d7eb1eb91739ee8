"""Train: python -m logogan_jax.main --config=configs/wgan56.py [--workdir=DIR] [--config.train.batch_size=32].

The exit status is 0 when the run is finished or has cost --max_cost, 2 for a mistake that the user can mend, and 3 when
training has diverged. Any other status says that the run was interrupted: the same command goes on. It is 75 where
everything was saved first.
"""

import functools
import pathlib
import sys

from absl import flags
from ml_collections import ConfigDict, config_flags

from logogan_jax.config import default_dataset
from logogan_jax.core import backend, cli
from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.distributed import supervisor
from logogan_jax.training.reporting import cost


def define() -> None:
    """Define the flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to train: a file of configs/", lock_config=True)
    flags.DEFINE_string("workdir", None, "folder of the run; default: runs/<config name>")
    flags.DEFINE_string("init_from", "", "start a new run from the weights of another: its folder, bucket or archive")
    flags.DEFINE_string(
        "price", "", "what the machines of the run cost together: dollars per hour, or one of cloud/prices.csv"
    )
    flags.DEFINE_float("max_cost", None, "stop, with a checkpoint, once the run has cost so many dollars")
    flags.DEFINE_bool("quiet", False, "print errors, warnings and the last line only")
    flags.DEFINE_string("coordinator", "", "of several processes, one on each host: HOST:PORT of process 0, or auto")
    flags.DEFINE_integer("num_processes", None, "how many there are; not with auto")
    flags.DEFINE_integer("process_id", None, "which of them this is, from 0; not with auto")


def main() -> None:
    """Run the command; heavy imports wait until flags and keys are known to be right."""
    values = flags.FLAGS
    budget = cost.parse_budget(values.price, values.max_cost)
    coordinator = _parse_coordinator(values.coordinator, values.num_processes, values.process_id)
    name = pathlib.Path(config_flags.get_config_filename(values["config"])).stem
    workdir = values.workdir or f"runs/{name}"
    from logogan_jax.core import progress

    with progress.hushed(values.quiet):
        if coordinator:
            supervisor.run_supervised(
                functools.partial(_train_together, coordinator, values.config, workdir, budget, values.init_from)
            )
        else:
            backend.start()
            default_dataset.set_default_dataset(values.config)
            from logogan_jax import loop

            _exit_unless(loop.train(values.config, workdir, budget, values.init_from))


def _train_together(coordinator: tuple, config: ConfigDict, workdir: str, budget: cost.Budget, init_from: str) -> None:
    """Train as one of several processes, in a child of the command."""
    from logogan_jax.distributed import multihost

    # Before anything asks JAX for its devices.
    multihost.initialize(*coordinator)
    backend.start()
    default_dataset.set_default_dataset(config)
    from logogan_jax import loop

    finished = loop.train(config, workdir, budget, init_from)
    multihost.shutdown()
    _exit_unless(finished)


def _exit_unless(finished: bool) -> None:
    if not finished:
        sys.exit(Unfinished.status)


def _parse_coordinator(
    coordinator: str, num_processes: int | None, process_id: int | None
) -> tuple[str, int | None, int | None] | None:
    """Return (coordinator, processes, number of this one), or None where one process trains alone."""
    others = {"num_processes": num_processes, "process_id": process_id}
    given = [name for name, value in others.items() if value is not None]
    if coordinator in ("", "auto") and given:
        raise UserError(f"--{given[0]} needs --coordinator=HOST:PORT, the address of process 0")
    if coordinator not in ("", "auto") and len(given) < 2:
        missing = next(name for name in others if name not in given)
        raise UserError(
            f"--coordinator={coordinator} needs --num_processes=N and --process_id=I: --{missing} is missing"
        )
    return (coordinator, num_processes, process_id) if coordinator else None


def command() -> None:
    """Run this module as the command logogan-train."""
    cli.run(main, define, required=["config"])


if __name__ == "__main__":
    command()
