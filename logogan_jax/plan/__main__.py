"""Know a GPU or TPU before it is rented: python -m logogan_jax.plan --config=configs/wgan56.py --target=h100.

Compiles the program that trains for devices that are not here, and prints what memory it needs, what it makes the
device do, and how long and how dear the run will be: a prediction. --target=all prints a table of all machines.
"""

import json
import os
import pathlib
import sys

from absl import flags
from ml_collections import ConfigDict, config_flags

from logogan_jax.core import cli, command_line, outputs
from logogan_jax.plan import targets


def define() -> None:
    """Define the flags."""
    config_flags.DEFINE_config_file("config", None, "the config of the training")
    flags.DEFINE_string("target", "", f"all, or one of {', '.join(targets.load())}")
    flags.DEFINE_integer("devices", 1, "devices of a host, 1 to 8")
    flags.DEFINE_integer("hosts", 1, "hosts with so many devices each")
    flags.DEFINE_string("price", "", "dollars per hour of all devices, or a machine of cloud/prices.csv")
    flags.DEFINE_string("json", "", "file to which a line for each target is added")


def main() -> None:
    """Estimate and print."""
    values = flags.FLAGS
    config: ConfigDict = values.config
    chosen = targets.lookup(values.target)
    for target in chosen:
        targets.check(target, values.devices, values.hosts)
    out = outputs.file_to_write("json", values.json) if values.json else None
    # Imported here, because a wrong flag should be told before JAX is there.
    import jax

    from logogan_jax.config import default_dataset
    from logogan_jax.core import backend
    from logogan_jax.plan import estimate, rows
    from logogan_jax.training.reporting import cost

    price = cost.parse_budget(values.price, None).price
    backend.check()
    # JAX writes programs for devices that are not there into its cache, and cannot read them.
    jax.config.update("jax_enable_compilation_cache", False)
    default_dataset.set_default_dataset(config)
    info = estimate.dataset_info(config)
    name = pathlib.Path(command_line.flag_value(sys.argv, "config").partition(":")[0]).stem
    found = []
    for target in chosen:
        row = estimate.estimate(
            config.copy_and_resolve_references(), info, target, devices=values.devices, hosts=values.hosts,
            dollars_per_hour=price,
        )  # fmt: skip
        found.append(rows.to_json(name, row))
        print(rows.describe(name, row), end="\n\n", flush=True)
        if out:
            with out.open("a", encoding="utf-8") as file:
                print(json.dumps(found[-1]), file=file)
    if len(found) > 1:
        print(rows.table(found), end="\n\n")
    print(rows.HOW)


def command() -> None:
    """Run the command."""
    os.environ.update(targets.ENVIRONMENT)
    cli.run(main, define, required=("config", "target"))


if __name__ == "__main__":
    command()
