"""Count what a training step costs, and compare the counts with benchmarks/results/counted.json.

    python benchmarks/counted.py [--only=ROW,ROW]            # count, and write the file
    python benchmarks/counted.py [--only=ROW,ROW] --check    # count, and print the differences; status 1 if any

Nothing is timed. Every count follows from the code and from the versions of JAX, Flax and Optax, on any CPU. Counts of
the program before XLA optimises it must agree exactly. Counts of the optimised program must agree within the tolerances
below, for the versions that the file has. The limits hold for every version.

A row is a shipped config, with its full networks, at batch size 16 on blank images, or 32 where a penalty is lazy: on
one device, and on eight simulated devices to count what these exchange. The row `loop` is the loop of loop.py,
observed by the profiler during some dispatches between log lines.
"""

import functools
import json
import os
import pathlib
import sys
import tempfile
from importlib import metadata
from typing import Any

import jax
import programs
from abstract_step import BATCH, DEVICES, AbstractStep, batch_size
from ml_collections import ConfigDict
from record import RESULTS, parser, write_record

from logogan_jax import loop
from logogan_jax.config import default_dataset, shipped
from logogan_jax.training import flops

RECORD = RESULTS / "counted.json"
ROWS = ("quickstart", "wgan28", "wgan56", "dcgan56", "r3gan56")
# Upper limits for every version of JAX.
LIMITS = {
    "doubly_dilated": 0,  # convolutions dilated on both sides, which are slow on a CPU; before XLA, their like, too
    "host_operations": 0,  # callbacks, infeeds, outfeeds, sends and receives of a step
    "not_donated_bytes": 0,  # bytes of the state that would be allocated twice
    "all_reduced_per_gradient": 1.05,  # bytes exchanged over bytes of all gradients of all updates, on several devices
    "programs_per_dispatch": 1,  # programs that the loop runs between log lines
    "reads_per_dispatch": 0,  # arrays copied to the host between log lines
    "writes_per_dispatch": 1,  # arrays copied to the devices: the numbers of the next images
}
# Exact for every version, because they follow from the model.
ALWAYS = ("model_flops", "gradient_bytes", "state_bytes")
# Tolerance, relative to the count, for versions that are recorded: before XLA optimises, and after.
VERSIONED = {
    "lowered_flops": 0.0,
    "lowered_bytes": 0.0,
    "all_reduces": 0.0,
    "all_reduced_bytes": 0.0,
    "compiled_flops": 0.02,
    "compiled_bytes": 0.05,
    "temporary_bytes": 0.10,
}


# ── what is counted ─────────────────────────────────────────────────────────────────────────


@functools.cache
def step_on_one_device(name: str) -> AbstractStep:
    """Return the train step of a config on one device."""
    return AbstractStep(name, jax.devices()[:1])


@functools.cache
def lowered_on_one_device(name: str) -> jax.stages.Lowered:
    """Return the program of a config for one device, before XLA compiles it."""
    step = step_on_one_device(name)
    return step.program.lower(*step.arguments)


@functools.cache
def compiled_on_one_device(name: str) -> jax.stages.Compiled:
    """Return the program of a config as XLA compiles it for one device."""
    return lowered_on_one_device(name).compile()


def count_lowered(name: str) -> dict[str, int]:
    """Count the program of a config before XLA compiles it."""
    step, program = step_on_one_device(name), lowered_on_one_device(name)
    cost = program.cost_analysis()
    return {
        "model_flops": int(flops.count_flops(step.program, *step.arguments)),
        "gradient_bytes": step.gradient_bytes(),
        "state_bytes": step.state_bytes(),
        "doubly_dilated": programs.slow_in_stablehlo(program.as_text()),
        "lowered_flops": int(cost["flops"]),
        "lowered_bytes": int(cost["bytes accessed"]),
    }


def count_on_one_device(name: str) -> dict[str, int]:
    """Count the program of a config as XLA compiles it for one device."""
    step, program = step_on_one_device(name), compiled_on_one_device(name)
    cost = program.cost_analysis()
    memory = program.memory_analysis()
    text = program.as_text()
    return {
        "doubly_dilated": programs.doubly_dilated_in_hlo(text),
        "host_operations": programs.host_operations(text),
        "not_donated_bytes": step.state_bytes() - memory.alias_size_in_bytes,
        "compiled_flops": int(cost["flops"]),
        "compiled_bytes": int(cost["bytes accessed"]),
        "temporary_bytes": memory.temp_size_in_bytes,
    }


def count_on_all_devices(name: str) -> dict[str, float]:
    """Count the program of a config as XLA compiles it for several devices."""
    step = AbstractStep(name, jax.devices())
    program = step.program.lower(*step.arguments).compile()
    sizes = programs.collective_bytes(program.as_text())
    return {
        "doubly_dilated": programs.doubly_dilated_in_hlo(program.as_text()),
        "host_operations": programs.host_operations(program.as_text()),
        "not_donated_bytes": step.state_bytes() - program.memory_analysis().alias_size_in_bytes,
        "all_reduces": len(sizes),
        "all_reduced_bytes": sum(sizes),
        "all_reduced_per_gradient": round(sum(sizes) / step.gradient_bytes(), 4),
    }


def count_loop(config: ConfigDict, workdir: pathlib.Path) -> dict[str, float]:
    """Count what the training loop does between log lines, while it trains a config for 12 steps in a new folder.

    This needs several devices: reading the array of a single CPU device leaves no trace.
    """
    assert jax.device_count() > 1
    config.train.update(steps=12, steps_per_dispatch=2)
    config.report.update(log_every=12, samples_every=12, checkpoint_every=12)
    config.evaluate.every_images = 0
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            loop.train(config, workdir)
        (path,) = pathlib.Path(folder).glob("**/*.xplane.pb")
        return programs.count_between_log_lines(path, dispatches=6)


def loop_config() -> ConfigDict:
    """Return a small config on the embedded logos; the loop is the same for every config."""
    config = shipped.get_config("quickstart")
    config.train.batch_size = batch_size(config)
    config.model.width = 4
    default_dataset.set_default_dataset(config)
    return config


def count(row: str) -> dict[str, float]:
    """Return all counts of a row. A count that several programs have is the largest of them."""
    if row == "loop":
        with tempfile.TemporaryDirectory() as folder:
            return count_loop(loop_config(), pathlib.Path(folder) / "run")
    parts = [count_lowered(row), count_on_one_device(row), count_on_all_devices(row)]
    return {name: max(part[name] for part in parts if name in part) for part in parts for name in part}


# ── the record ──────────────────────────────────────────────────────────────────────────────


def versions() -> str:
    """Return the versions on which XLA's counts depend, as one text."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "flax", "optax"))


def read_record() -> dict[str, Any]:
    """Read the recorded counts: {"always": {row: counts}, "versions": {versions: {row: counts}}}."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"always": {}, "versions": {}}


def differences(row: str, counts: dict[str, float], record: dict[str, Any]) -> list[str]:
    """List in words which counts of a row differ from the record or exceed a limit."""
    messages = []
    for name, value in counts.items():
        if name in LIMITS and value > LIMITS[name]:
            messages.append(f"{row}: {name} is {value:,}, and should be at most {LIMITS[name]:,}")
        rows = record["always"] if name in ALWAYS else record["versions"].get(versions(), {})
        old = rows.get(row, {}).get(name)
        if name in LIMITS or old is None:
            continue
        if abs(value - old) > VERSIONED.get(name, 0.0) * old:
            change = f" ({value / old - 1:+.2%})" if old else ""
            messages.append(
                f"{row}: {name} was {old:,} and is {value:,}{change}: if you intended this, run "
                f"python benchmarks/counted.py --only={row} (here and with every other recorded JAX)"
            )
    return messages


def updated(row: str, counts: dict[str, float], record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with new counts for a row."""
    always = {name: counts[name] for name in ALWAYS if name in counts}
    versioned = {name: value for name, value in counts.items() if name not in always}
    rows = record["versions"].get(versions(), {})
    return {
        **record,
        "always": {**record["always"], **({row: always} if always else {})},
        "versions": {**record["versions"], versions(): {**rows, row: versioned}},
    }


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--check", action="store_true", help="write nothing; status 1 if something differs")
    flags.add_argument("--only", default=",".join((*ROWS, "loop")), help="rows, comma-separated (default: all)")
    args = flags.parse_args()
    # As in the tests: without optimisation most of the compile time is saved, and the counts stay the same.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    record = read_record()
    messages = []
    for row in args.only.split(","):
        counts = count(row)
        print(row, counts, flush=True)
        messages += differences(row, counts, record)
        record = updated(row, counts, record)
    print(*messages, sep="\n")
    if args.check:
        sys.exit(bool(messages))
    values = {"always": record["always"], "versions": record["versions"]}
    write_record("counted", "python benchmarks/counted.py", {"batch": BATCH, "devices": DEVICES, **values})


if __name__ == "__main__":
    main()
