"""Time the step that trains: python -m logogan_jax.benchmark --config=configs/wgan56.py [--peer=torch] [--json=FILE].

Compiles what training compiles and drives it as training does, several times over, each time to the end of what was
asked of the devices. Prints medians over the repeats, and the slowest and the fastest of them.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import sys

import jax
from absl import flags
from ml_collections import config_flags

import logogan_jax
from logogan_jax.benchmark import figures, measurement, peers
from logogan_jax.config import build_training, default_dataset
from logogan_jax.core import cache, cli
from logogan_jax.core.errors import UserError

LOOK = "pip install xprof; xprof --logdir={folder}; or open its perfetto_trace.json.gz at https://ui.perfetto.dev"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


# ── measured ────────────────────────────────────────────────────────────────────────────────


def measured(config, devices, started=(), *, repeats, seconds, profile=None):
    """The row of a resolved config on some devices, {name: figure}, in turn with Peers that are started.

    Plain numbers and texts, in the units that the names say; a `profile` is a folder for a trace.
    """
    device, batch_size = devices[0], config.train.batch_size
    before = measurement.peak_bytes(device)
    training = build_training.build(config, devices, _say)
    with contextlib.closing(training.runner.source):
        steps = measurement.TrainingSteps(training)
        took = steps.compile_seconds()
        pace, waiting, others = measurement.paces(steps, started, repeats=repeats, seconds=seconds)
        held, by = steps.peak_memory(device, before)
        work = steps.flops()
        rate, side = measurement.largest_rate(config.train.dtype, device)
        if profile:
            steps.profile(profile)
    objective = training.model.objective
    players = objective.players
    chips = 1 if device.platform == "cpu" else len(devices)  # simulated devices share the cores
    return {
        "objective": config.objective.name,
        "model": config.model.name,
        "image": list(training.train.shape),
        "batch_size": batch_size,
        "dtype": config.train.dtype,
        "source": type(training.runner.source).__name__.lower(),
        "steps_per_dispatch": training.runner.steps_per_dispatch,
        "platform": device.platform,
        "device_kind": device.device_kind,
        "devices": len(devices),
        "steps_per_second": pace._asdict(),
        "real_images_per_second": pace.median * batch_size * objective.real_batches_per_step,
        "updates_per_second": {player.name: pace.median * player.updates for player in players},
        "model_flops_per_step": work,
        "model_flops_per_second": work * pace.median,
        "formula": measurement.FORMULA,
        "product_flops_per_second": rate,
        "product_side": side,
        "share_of_product": work * pace.median / (rate * chips),
        "peak_bytes": held,
        "peak_bytes_by": by,
        "seconds": took,
        "input_bound_share": waiting,
        "peers": [
            {**peer.about, "name": peer.name, "steps_per_second": other._asdict(), "ratio": pace.median / other.median}
            for peer, other in zip(started, others, strict=True)
        ],
    }


def against_first(row, first):
    """The row with its efficiency: its steps/s over what so many devices would do, were each worth one of `first`."""
    each = first["steps_per_second"]["median"] / first["devices"]
    return {**row, "efficiency": row["steps_per_second"]["median"] / (each * row["devices"])}


def priced(row, price):
    """The row with what a million real images cost on a machine of so many dollars an hour."""
    return {**row, "dollars_per_hour": price, "dollars_per_million": price / 3600 / row["real_images_per_second"] * 1e6}


def stamp():
    """What the flags and this machine's software say of every row."""
    flag = flags.FLAGS["config"]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "config": pathlib.Path(config_flags.get_config_filename(flag)).stem,
        "overrides": dict(config_flags.get_override_values(flag)),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"logogan_jax": logogan_jax.__version__, "python": platform.python_version(), **versions},
    }


# ── the command ─────────────────────────────────────────────────────────────────────────────


def define():
    """The flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to time: a file of configs/", lock_config=True)
    flags.DEFINE_list("devices", [], "numbers of devices to compare, such as 1,2,4,8; default: all there are")
    flags.DEFINE_list("peer", [], "frameworks to time it against, in turn and in one run: torch, keras")
    flags.DEFINE_string("json", None, "file to which a line of JSON is appended for each number of devices")
    flags.DEFINE_string("profile", None, "folder for a trace of a few dispatches")
    flags.DEFINE_float("price", None, "dollars an hour that this machine costs", lower_bound=0.0)
    flags.DEFINE_integer("repeats", 5, "how often everything is timed", lower_bound=3)
    flags.DEFINE_float("seconds", 2.0, "what a repeat takes, unless a dispatch takes longer", lower_bound=0.0)


def counts(asked, peer):
    """The numbers of devices to compare, of the texts of --devices; without any all there are, or one beside a peer."""
    wrong = [text for text in asked if not text.isdecimal() or int(text) < 1]
    if wrong:
        raise UserError(f"--devices has {wrong[0]!r}: it should be numbers of devices, such as --devices=1,2,4,8")
    numbers = sorted({int(text) for text in asked})
    if numbers and numbers[0] > 1 and peer:
        raise UserError(f"--devices begins with {numbers[0]}: a --peer runs on one device, so begin with 1")
    if numbers and numbers[-1] > 1:
        jax.config.update("jax_num_cpu_devices", numbers[-1])  # a CPU is one device unless it is told otherwise
    there = jax.local_device_count()
    if numbers and numbers[-1] > there:
        raise UserError(f"--devices has {numbers[-1]}, but there are {there}: give numbers up to {there}")
    return numbers or [1 if peer else there]


def given_peers(config, names, stack):
    """(warm Peers of a resolved config in each of their ways, why others did not start); the stack closes them."""
    started, failed, platform = [], [], jax.default_backend()
    ways = [(name, way) for name in names for way in peers.ways(name, platform, config.train.dtype)]
    model = peers.arguments(config) if ways else ()
    for name, way in ways:
        _say(f"Starting {name} {' '.join(way)}")
        try:
            peer = stack.enter_context(peers.started(name, way, model))
        except UserError as error:
            failed.append(str(error))
            _say(failed[-1])
            continue
        if platform != "cpu" and peer.about["device"] == "cpu":
            raise UserError(f"--peer={name} sees no {platform} here: install the {name} that is made for it")
        started.append(peer)
    if failed and not started:
        raise UserError(failed[-1])
    return started, failed


def main():
    """The command."""
    wanted = flags.FLAGS
    out = pathlib.Path(wanted.json).expanduser() if wanted.json else None
    if out and not out.parent.is_dir():
        raise UserError(f"--json={out}: there is no folder {out.parent}")
    if wanted.peer:  # share a GPU's memory: JAX, here and in a peer, takes what it needs instead of most of it at once
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    numbers, rows = counts(wanted.devices, wanted.peer), []
    cache.enable_compilation_cache()
    config = build_training.resolve(wanted.config)
    default_dataset.set_default_dataset(config)
    with contextlib.ExitStack() as stack:
        started, failed = given_peers(config, wanted.peer, stack)
        for number in numbers:
            devices, beside = jax.local_devices()[:number], started if number == 1 else ()
            row = measured(
                config, devices, beside, repeats=wanted.repeats, seconds=wanted.seconds, profile=wanted.profile
            )
            row = {**stamp(), **against_first(row, rows[0] if rows else row), "peers_failed": failed}
            rows.append(row if wanted.price is None else priced(row, wanted.price))
            print(figures.heading(rows[-1]), figures.table(rows[-1]), sep="\n", flush=True)
            if out:
                with out.open("a") as file:
                    print(json.dumps(rows[-1]), file=file)
    if len(rows) > 1:
        print(figures.scaling(rows))
    if wanted.profile:
        print(f"The trace is in {wanted.profile}: {LOOK.format(folder=wanted.profile)}")
    if out:
        print(f"The numbers are in {out}")


def _say(line):
    print(line, file=sys.stderr, flush=True)


def command() -> None:
    """Run this module as the command logogan-benchmark."""
    cli.run(main, define, required=["config"])


if __name__ == "__main__":
    command()
