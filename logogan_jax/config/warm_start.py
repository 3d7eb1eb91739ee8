"""A new run that starts from the weights of another: where they come from, and what the run records of them.

The weights lie in warm_start.npz beside the run's checkpoints, and config.json says whose they are: so the run goes on,
and starts again from step 0, without the other one.
"""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx
from ml_collections import ConfigDict

from logogan_jax.config import archived, restore, run_config
from logogan_jax.config.build_networks import takes_inks
from logogan_jax.config.build_training import Training
from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.distributed import multihost
from logogan_jax.networks.augmented_critic import AugmentProbability
from logogan_jax.networks.mark import InkTable
from logogan_jax.training import freezing, train_state, warm_start
from logogan_jax.training.model import Model, merge
from logogan_jax.training.train_state import TrainState
from logogan_jax.training.warm_start import Weights

FILE = "warm_start.npz"
# Variables that are no weights: the config and the data of the new run decide them.
_OF_THE_RUN = nnx.Any(InkTable, AugmentProbability)


class Source(NamedTuple):
    """Another run: its config and data, its weights, and what the new run records of it."""

    config: ConfigDict
    info: DatasetInfo
    weights: Weights
    record: dict[str, Any]


def check(folder: pathlib.Path, address: str) -> None:
    """Raise a UserError if the run in a folder has begun, and not from --init_from."""
    before = run_config.read_warm_start(folder)
    if not address or run_config.read(folder) is None or before.get("from") == _absolute(address):
        return
    how = f"was started from {before['from']}" if before else "was started from random weights"
    raise UserError(
        f"--init_from={address}: the run in {folder} {how}: leave --init_from to resume it, or choose another --workdir"
    )


def prepare(training: Training, folder: pathlib.Path, address: str) -> Training:
    """Return a Training whose step 0 has the weights that the run in a folder was, or is now, started from."""
    record = run_config.read_warm_start(folder)
    if address and not record:
        # The others hear what process 0 has found: they may not see the other run.
        record = multihost.run_on_primary(lambda: _take(training, folder, address))
    _check_frozen(training, record)
    if not record:
        (folder / FILE).unlink(missing_ok=True)  # of a start that failed
        return training
    cold = training.model.init_state
    init_state = functools.partial(_init_state, folder / FILE, record["sha256"], cold)
    return training._replace(model=training.model._replace(init_state=init_state), warm_start=record)


def first_state(training: Training) -> TrainState:
    """Return the state of step 0 on the devices."""
    if not training.warm_start:
        return training.state
    return training.parallel.device_put(training.model.init_state(), training.runner.layout)


def describe(record: Mapping[str, Any]) -> list[str]:
    """Return what a run that starts from another says of it, in a few lines."""
    if not record:
        return []
    lines = [
        f"The weights are those of {record['run']} at step {record['step']:,} ({record['from']}): "
        f"{len(record['taken'])} arrays are taken, {len(record['new'])} are new"
    ]
    if record["new"]:
        reasons = [f"{name.partition('/')[2]} ({why})" for name, why in record["new"].items()]
        lines.append(f"New, as in any run: {warm_start.listed(reasons)}")
    if record["unused"]:
        lines.append(f"Left there: {warm_start.listed(name.partition('/')[2] for name in record['unused'])}")
    if "critic" in record["without"]:
        lines.append("The critic starts from random weights: that file has none, unless it is exported by --critic")
    return lines if len(lines) == 1 else [*lines, "All names are in config.json, under warm_start"]


def _take(training: Training, folder: pathlib.Path, address: str) -> dict[str, Any]:
    """Write the weights of another run that fit into a folder. Returns what config.json records."""
    with multihost.alone():
        source = _read(address)
    if source.config.model.name != training.config.model.name:
        raise UserError(
            f"--init_from={address} has {source.config.model.name!r} networks, of which nothing fits into "
            f"config.model.name {training.config.model.name!r}: give a run of the same networks"
        )
    state = jax.device_get(training.model.init_state())
    fit = warm_start.fit(state, source.weights, _skipped(training, state, source))
    if not warm_start.holds_a_kernel(fit):
        raise UserError(
            f"--init_from={address}: nothing fits, as {warm_start.listed(f'{k} is {v}' for k, v in fit.new.items())}: "
            f"use the config.model and config.data of that run ({source.config.data.size} pixels, width "
            f"{source.config.model.get('width')})"
        )
    digest = warm_start.write(folder / FILE, fit.arrays)
    roles = {name.split("/")[1] for name in {*source.weights.current, *source.weights.averaged}}
    return {
        **source.record,
        "sha256": digest,
        "taken": sorted(fit.taken),
        "new": fit.new,
        "unused": fit.unused,
        "without": sorted({*training.model.graphdefs} - roles),
    }


def _read(address: str) -> Source:
    if archived.is_archive(address):
        archive = archived.read(address, "init_from")
        averaged = {warm_start.plain_name(name): value for name, value in archive.arrays.items()}
        record = {"run": archive.run, "step": archive.step, "source_sha256": archive.sha256()}
        return Source(archive.config, archive.info, Weights({}, averaged), {"from": _absolute(address), **record})
    try:
        run = restore.restore(address, "best")
    except UserError as error:
        raise UserError(str(error).replace("--workdir=", "--init_from=")) from None
    state = run.state
    weights = Weights(
        warm_start.weights_of(state.params, state.model_state),
        warm_start.weights_of(state.ema["params"], state.ema["model_state"]),
    )
    record = {"run": run.workdir.name, "step": run.step, "source_sha256": train_state.digest(state)}
    return Source(run.config, run.info, weights, {"from": _absolute(address), **record})


def _skipped(training: Training, state: TrainState, source: Source) -> dict[str, str]:
    """Return the arrays that are not taken though they may fit, with the reason: they mean something else there."""
    config = training.config
    skipped = {}
    for role, network in vars(merge(training.model.graphdefs, state.params, state.model_state)).items():
        for name in train_state.flatten_with_names(nnx.to_pure_dict(nnx.state(network, _OF_THE_RUN))):
            skipped[f"model_state/{role}/{name}"] = "of this run"
    params = train_state.flatten_with_names({"params": state.params})
    if config.mark.inks != source.config.mark.inks:
        why = f"config.mark.inks is {source.config.mark.inks} there"
        skipped |= {name: why for name in params if warm_start.plain_name(name).startswith("params/generator/out/")}
    if takes_inks(config) != takes_inks(source.config) and "critic" in state.params:
        starts = tuple(f"params/critic/{name}" for name in _first_layers(training.model, 1))
        skipped |= {name: "its critic saw other images" for name in params if name.startswith(starts)}
    if training.info.fingerprint != source.info.fingerprint:
        skipped |= {name: "codes of other images" for name in params if name.startswith("params/codes/")}
    return skipped


def _first_layers(model: Model, count: int) -> tuple[str, ...]:
    state = jax.eval_shape(model.init_state)
    return freezing.first_layers(merge(model.graphdefs, state.params, state.model_state).critic, count)


def _check_frozen(training: Training, record: Mapping[str, Any]) -> None:
    """Raise a UserError if layers would be frozen that no other run has trained."""
    count = training.config.train.freeze_critic
    if not count:
        return
    starts = tuple(f"params/critic/{name}" for name in _first_layers(training.model, count))
    random = [f"{name} ({why})" for name, why in record.get("new", {}).items() if name.startswith(starts)]
    if not record or random:
        which = warm_start.listed(random) or "all of them, without --init_from"
        raise UserError(
            f"config.train.freeze_critic is {count}, but weights of these layers would be random ({which}): freeze "
            f"fewer, or give --init_from=RUN, from which they are taken"
        )


def _init_state(path: pathlib.Path, digest: str, cold: Any) -> TrainState:
    """Return the state of step 0, host arrays where several processes share it."""
    state = cold()
    read = multihost.run_on_primary
    arrays: list[TrainState] = []
    read(lambda: arrays.append(warm_start.with_arrays(jax.device_get(state), warm_start.read(path, digest))))
    return multihost.broadcast(arrays[0] if arrays else None, state)


def _absolute(address: str) -> str:
    if archived.is_pretrained(address):
        return address
    return address.rstrip("/") if "://" in address else os.path.abspath(files.expand(address))
