"""Time the step that trains: python -m logogan_jax.benchmark --config=configs/wgan56.py [--peer=torch] [--json=FILE].

Compiles the programs that training compiles and runs them as training does. Each repeat ends when the devices have
computed its last step. Prints the median over the repeats, and the slowest and the fastest of them.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags

import logogan_jax
from logogan_jax.benchmark import figures, measurement, peers, stopwatch
from logogan_jax.config import build_training, default_dataset, memory
from logogan_jax.core import backend, cli, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.data import sources

TRACE_VIEWERS = (
    "pip install xprof; xprof --logdir={folder}; or open its perfetto_trace.json.gz at https://ui.perfetto.dev"
)
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


# ── rows ────────────────────────────────────────────────────────────────────────────────────


def measure(
    config: ConfigDict,
    devices: Sequence[Any],
    running_peers: Sequence[peers.Peer] = (),
    *,
    repeats: int,
    seconds: float,
    profile: str | None = None,
) -> dict[str, Any]:
    """Time the steps of a resolved config on some jax.Devices, in turn with peers that are running.

    Returns a row, {name: figure}: plain numbers and texts, in the units that the names say. `profile` is a folder for
    a trace.
    """
    device = devices[0]
    batch_size = config.train.batch_size
    before = measurement.peak_bytes(device)
    training = build_training.build(config, devices, _say, _say)
    with contextlib.closing(training.runner.source):
        steps = measurement.TrainingSteps(training)
        compile_seconds = steps.compile_seconds()
        pace, input_bound_share, peer_paces = measurement.paces(steps, running_peers, repeats=repeats, seconds=seconds)
        peak_bytes, peak_counted_by = steps.peak_memory(device, before)
        flops = steps.flops()
        predicted = steps.predicted_seconds()
        product_rate, product_side = measurement.largest_rate(config.train.dtype, device)
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
        "source": next(name for name, kind in sources.SOURCES.items() if isinstance(training.runner.source, kind)),
        "steps_per_dispatch": training.runner.steps_per_dispatch,
        "platform": device.platform,
        "device_kind": device.device_kind,
        "devices": len(devices),
        "steps_per_second": pace._asdict(),
        "predicted_seconds": predicted,
        "real_images_per_second": pace.median * batch_size * objective.real_batches_per_step,
        "updates_per_second": {player.name: pace.median * player.updates for player in players},
        "model_flops_per_step": flops,
        "model_flops_per_second": flops * pace.median,
        "formula": measurement.FORMULA,
        "product_flops_per_second": product_rate,
        "product_side": product_side,
        "share_of_product": flops * pace.median / (product_rate * chips),
        "peak_bytes": peak_bytes,
        "peak_bytes_by": peak_counted_by,
        "seconds": compile_seconds,
        "input_bound_share": input_bound_share,
        "peers": [_peer_row(peer, peer_pace, pace) for peer, peer_pace in zip(running_peers, peer_paces, strict=True)],
    }


def _peer_row(peer: peers.Peer, peer_pace: stopwatch.Pace, pace: stopwatch.Pace) -> dict[str, Any]:
    ratio = pace.median / peer_pace.median
    return {**peer.about, "name": peer.name, "steps_per_second": peer_pace._asdict(), "ratio": ratio}


def with_efficiency(row: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its efficiency: its steps/s per device over those of the row `first`."""
    per_device = first["steps_per_second"]["median"] / first["devices"]
    return {**row, "efficiency": row["steps_per_second"]["median"] / (per_device * row["devices"])}


def with_cost(row: dict[str, Any], price: float) -> dict[str, Any]:
    """Return the row with the cost of a million real images on a machine that costs `price` dollars an hour."""
    return {**row, "dollars_per_hour": price, "dollars_per_million": price / 3600 / row["real_images_per_second"] * 1e6}


def provenance() -> dict[str, Any]:
    """Return what is the same in every row: config, overrides, date and versions of the software."""
    flag = flags.FLAGS["config"]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "config": pathlib.Path(config_flags.get_config_filename(flag)).stem,
        "overrides": dict(config_flags.get_override_values(flag)),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"logogan_jax": logogan_jax.__version__, "python": platform.python_version(), **versions},
    }


# ── the command ─────────────────────────────────────────────────────────────────────────────


def define() -> None:
    """Define the flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to time: a file of configs/", lock_config=True)
    flags.DEFINE_list("devices", [], "numbers of devices to compare, such as 1,2,4,8; default: all devices")
    flags.DEFINE_list("peer", [], "frameworks that are timed in turn with it, in the same run: torch, keras")
    flags.DEFINE_string("json", None, "file to which a line of JSON is appended for each number of devices")
    flags.DEFINE_string("profile", None, "folder for a trace of a few dispatches")
    flags.DEFINE_float("price", None, "dollars an hour that this machine costs", lower_bound=0.0)
    flags.DEFINE_integer("repeats", 5, "how often everything is timed", lower_bound=3)
    flags.DEFINE_float("seconds", 2.0, "seconds that a repeat takes, unless one dispatch takes longer", lower_bound=0.0)


def device_counts(texts: Sequence[str], peer_names: Sequence[str]) -> list[int]:
    """Return the numbers of devices to compare, in rising order, from the texts of --devices.

    Without any text it is all devices, or one device where there is a peer. Raises a UserError where a text is not a
    number, where there are fewer devices, and where the first number is not 1 although there is a peer.
    """
    wrong = [text for text in texts if not text.isdecimal() or int(text) < 1]
    if wrong:
        raise UserError(f"--devices has {wrong[0]!r}: it should be numbers of devices, such as --devices=1,2,4,8")
    numbers = sorted({int(text) for text in texts})
    if numbers and numbers[0] > 1 and peer_names:
        raise UserError(f"--devices begins with {numbers[0]}: a --peer runs on one device, so begin with 1")
    if numbers and numbers[-1] > 1:
        jax.config.update("jax_num_cpu_devices", numbers[-1])  # a CPU is one device by default
    backend.check()
    available = jax.local_device_count()
    if numbers and numbers[-1] > available:
        raise UserError(f"--devices has {numbers[-1]}, but there are {available}: give numbers up to {available}")
    return numbers or [1 if peer_names else available]


def start_peers(
    config: ConfigDict, names: Sequence[str], stack: contextlib.ExitStack
) -> tuple[list[peers.Peer], list[str]]:
    """Start the peers of a resolved config, each in all its ways; the stack ends them.

    Raises a UserError where none starts, and where one does not see the accelerator.

    Returns:
        The running peers, and the messages of those that did not start.
    """
    running = []
    failed = []
    platform = jax.default_backend()
    ways = [(name, way) for name in names for way in peers.ways(name, platform, config.train.dtype)]
    model = peers.arguments(config) if ways else ()
    for name, way in ways:
        _say(f"Starting {name} {' '.join(way)}")
        try:
            peer = stack.enter_context(peers.start(name, way, model))
        except UserError as error:
            failed.append(str(error))
            _say(failed[-1])
            continue
        if platform != "cpu" and peer.about["device"] == "cpu":
            raise UserError(f"--peer={name} sees no {platform} here: install the {name} that is made for it")
        running.append(peer)
    if failed and not running:
        raise UserError(failed[-1])
    return running, failed


def main() -> None:
    """Run the command."""
    args = flags.FLAGS
    out = outputs.file_to_write("json", args.json) if args.json else None
    profile = str(outputs.folder_to_write("profile", args.profile)) if args.profile else None
    if args.peer:  # share a GPU's memory: JAX, here and in a peer, takes what it needs instead of most of it at once
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    numbers = device_counts(args.devices, args.peer)
    rows = []
    backend.start()
    config = build_training.resolve(args.config)
    default_dataset.set_default_dataset(config)
    with contextlib.ExitStack() as stack:
        running_peers, failed = start_peers(config, args.peer, stack)
        for number in numbers:
            devices = jax.local_devices()[:number]
            timed_peers = running_peers if number == 1 else ()
            with memory.name_settings(config):
                row = measure(config, devices, timed_peers, repeats=args.repeats, seconds=args.seconds, profile=profile)
            row = {**provenance(), **with_efficiency(row, rows[0] if rows else row), "peers_failed": failed}
            rows.append(row if args.price is None else with_cost(row, args.price))
            print(figures.heading(rows[-1]), figures.table(rows[-1]), sep="\n", flush=True)
            if out:
                with out.open("a", encoding="utf-8") as file:
                    print(json.dumps(rows[-1]), file=file)
    if len(rows) > 1:
        print(figures.scaling(rows))
    if profile:
        print(f"The trace is in {profile}: {TRACE_VIEWERS.format(folder=shlex.quote(profile))}")
    if out:
        print(f"The numbers are in {out}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def command() -> None:
    """Run this module as the command logogan-benchmark."""
    cli.run(main, define, required=["config"])


if __name__ == "__main__":
    command()
