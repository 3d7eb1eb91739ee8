"""Count what a training step costs, and hold it to the figures in benchmarks/results/counted.json.

    python benchmarks/counted.py            # count, and write the file
    python benchmarks/counted.py --check    # count, and print what differs from it, with status 1 if anything does

Nothing is timed: every figure follows from the code and from the versions of JAX, Flax and Optax, on any CPU. What the
program says before XLA optimises it is held exactly; what XLA makes of it, within the tolerances below and for versions
that the file knows. Limits hold for every version. `--only=ROWS` (comma-separated) counts these alone.

Rows are shipped configs, whole, at batch 16 on blank images: one device, and eight simulated ones for what these tell
each other. `loop` is the loop of train.py, watched by the profiler while it makes some dispatches between log lines.
"""

import argparse
import importlib
import json
import os
import pathlib
import sys
import tempfile
from importlib import metadata

import jax
import jax.numpy as jnp
import programs
from jax.sharding import NamedSharding
from record import ROOT, stamp

from logogan_jax import train
from logogan_jax.config import build_model, build_training, default_dataset
from logogan_jax.core import files
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.data.in_memory import Feed, InMemorySource
from logogan_jax.distributed import data_parallel
from logogan_jax.training import flops

RESULTS = ROOT / "benchmarks" / "results" / "counted.json"
ROWS = ("quickstart", "wgan28", "wgan56", "dcgan56", "r3gan56")
BATCH, IMAGES, DEVICES = 16, 64, 8
# Held for every version of JAX: at most so much.
LIMITS = {
    "doubly_dilated": 0,  # convolutions dilated on both sides, before XLA and after: performance.md
    "host_operations": 0,  # of a step: callbacks, infeeds, outfeeds, sends, receives
    "not_donated_bytes": 0,  # of the state, that would be allocated twice
    "all_reduced_per_gradient": 1.05,  # bytes over those of all gradients of all updates, on several devices
    "programs_per_dispatch": 1,  # that the loop runs between log lines
    "reads_per_dispatch": 0,  # arrays brought to the host between log lines
    "writes_per_dispatch": 1,  # arrays brought to the devices: which images come next
}
# Held for every version, exactly: what the model is.
ALWAYS = ("model_flops", "gradient_bytes", "state_bytes")
# Held for versions that are recorded, within a share of the figure: counted before XLA optimises, and after.
VERSIONED = {
    "lowered_flops": 0.0,
    "lowered_bytes": 0.0,
    "all_reduces": 0.0,
    "all_reduced_bytes": 0.0,
    "compiled_flops": 0.02,
    "compiled_bytes": 0.05,
    "temporary_bytes": 0.10,
}


class Abstract:
    """A shipped config's step as shapes on some devices: `program`, its `arguments`, and the `made` Model."""

    def __init__(self, name, devices):
        config = importlib.import_module(f"configs.{name}").get_config()
        config.train.update(batch_size=BATCH, dtype="float32")
        config = build_training.resolved(config)
        height, width = build_model.size_of(config)
        about, kept = DatasetInfo("", IMAGES, {}), []

        def begin():
            kept.append(build_model.of(config, about))
            return kept[0].state

        state = jax.eval_shape(begin)  # shapes alone: no weight is drawn
        self.made = kept[0]._replace(state=state)
        parallel = data_parallel.DataParallel(config.train.parallel, BATCH, devices)
        self.program = build_training.programs(config, self.made, parallel, InMemorySource)(1)
        pixels = jax.ShapeDtypeStruct((IMAGES, height, width, config.data.channels), jnp.uint8)
        label = jax.ShapeDtypeStruct((IMAGES,), jnp.int32)
        index = jax.ShapeDtypeStruct((1, self.made.objective.batches_per_step, BATCH), jnp.int32)
        placed = lambda shape, spec: shape.update(sharding=NamedSharding(parallel.mesh, spec))
        feed = Feed(
            *(placed(shape, spec) for shape, spec in zip((pixels, label, index), InMemorySource.specs, strict=True))
        )
        self.arguments = jax.tree.map(lambda shape: placed(shape, data_parallel.REPLICATED), state), feed

    def state_bytes(self):
        """Bytes of the state."""
        return size(self.made.state)

    def gradient_bytes(self):
        """Bytes of all gradients of all updates of a step."""
        params, players = self.made.state.params, self.made.objective.players
        return sum(player.updates * size(params[name]) for player in players for name in player.trains)


def size(tree):
    """Bytes of the arrays of a tree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


# ── what is counted ─────────────────────────────────────────────────────────────────────────


def lowered(name):
    """Counts of a row that need no compiler."""
    step = Abstract(name, jax.devices()[:1])
    program = step.program.lower(*step.arguments)
    cost = program.cost_analysis()
    return {
        "model_flops": int(flops.of(step.program, *step.arguments)),
        "gradient_bytes": step.gradient_bytes(),
        "state_bytes": step.state_bytes(),
        "doubly_dilated": programs.doubly_dilated_in_stablehlo(program.as_text()),
        "lowered_flops": int(cost["flops"]),
        "lowered_bytes": int(cost["bytes accessed"]),
    }


def compiled(name):
    """Counts of a row as XLA compiles it for one device."""
    step = Abstract(name, jax.devices()[:1])
    program = step.program.lower(*step.arguments).compile()
    cost, memory, text = program.cost_analysis(), program.memory_analysis(), program.as_text()
    return {
        "doubly_dilated": programs.doubly_dilated_in_hlo(text),
        "host_operations": programs.host_operations(text),
        "not_donated_bytes": step.state_bytes() - memory.alias_size_in_bytes,
        "compiled_flops": int(cost["flops"]),
        "compiled_bytes": int(cost["bytes accessed"]),
        "temporary_bytes": memory.temp_size_in_bytes,
    }


def shared(name):
    """Counts of a row as XLA compiles it for several devices."""
    step = Abstract(name, jax.devices())
    program = step.program.lower(*step.arguments).compile()
    sizes = programs.collective_bytes(program.as_text())
    return {
        "host_operations": programs.host_operations(program.as_text()),
        "not_donated_bytes": step.state_bytes() - program.memory_analysis().alias_size_in_bytes,
        "all_reduces": len(sizes),
        "all_reduced_bytes": sum(sizes),
        "all_reduced_per_gradient": round(sum(sizes) / step.gradient_bytes(), 4),
    }


def loop(config, workdir):
    """Counts of the training loop between log lines: it trains a config for 12 steps in a new folder.

    Several devices are needed: what a single CPU device holds is read without a trace.
    """
    assert jax.device_count() > 1
    config.train.update(steps=12, steps_per_dispatch=2)
    config.report.update(log_every=12, samples_every=12, checkpoint_every=12)
    config.evaluate.every_images = 0
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            train.train(config, workdir)
        (path,) = pathlib.Path(folder).glob("**/*.xplane.pb")
        return programs.count_between_log_lines(path, dispatches=6)


# ── the record ──────────────────────────────────────────────────────────────────────────────


def versions():
    """The versions on which XLA's counts depend, in words."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "flax", "optax"))


def read():
    """The recorded counts: {"always": {row: counts}, "versions": {versions: {row: counts}}}."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"always": {}, "versions": {}}


def differences(row, counts, record):
    """What of a row's counts is not as recorded or beyond a limit, in words: [str]."""
    told = []
    for name, value in counts.items():
        if name in LIMITS and value > LIMITS[name]:
            told.append(f"{row}: {name} is {value:,}, and should be at most {LIMITS[name]:,}")
        held = record["always"] if name in ALWAYS else record["versions"].get(versions(), {})
        old = held.get(row, {}).get(name)
        if name in LIMITS or old is None:
            continue
        if abs(value - old) > VERSIONED.get(name, 0.0) * old:
            change = f" ({value / old - 1:+.2%})" if old else ""
            told.append(f"{row}: {name} was {old:,} and is {value:,}{change}: {accept(row)}")
    return told


def accept(row):
    """How a row's counts are recorded anew, in words."""
    return f"if that is meant, python benchmarks/counted.py --only={row} (here and with every other recorded JAX)"


def recorded(row, counts, record):
    """The record with a row's counts."""
    always = {name: counts[name] for name in ALWAYS if name in counts}
    mine = {name: value for name, value in counts.items() if name not in always}
    known = record["versions"].get(versions(), {})
    return {
        **record,
        "always": {**record["always"], **({row: always} if always else {})},
        "versions": {**record["versions"], versions(): {**known, row: mine}},
    }


def count(row):
    """All counts of a row."""
    if row == "loop":
        with tempfile.TemporaryDirectory() as folder:
            return loop(small(), pathlib.Path(folder) / "run")
    found = [lowered(row), compiled(row), shared(row)]
    return {name: max(part[name] for part in found if name in part) for part in found for name in part}


def small():
    """A config whose loop is that of every config, on the embedded logos."""
    config = importlib.import_module("configs.quickstart").get_config()
    config.train.batch_size, config.model.width = BATCH, 4
    default_dataset.given(config)
    return config


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if something differs")
    parser.add_argument("--only", default=",".join((*ROWS, "loop")), help="rows, comma-separated")
    args = parser.parse_args()
    # As the tests do: it spares most of the compiler's time and none of what is counted.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    record, told = read(), []
    for row in args.only.split(","):
        counts = count(row)
        print(row, counts, flush=True)
        told += differences(row, counts, record)
        record = recorded(row, counts, record)
    print(*told, sep="\n")
    if args.check:
        sys.exit(bool(told))
    files.write_json(RESULTS, {**stamp("python benchmarks/counted.py"), "batch": BATCH, "devices": DEVICES, **record})


if __name__ == "__main__":
    main()
