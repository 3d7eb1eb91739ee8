"""The steps in which a number stopped being finite, kept so that they can be run again."""

import json

import jax
import numpy as np
import orbax.checkpoint as ocp

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.data import streaming
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import multihost
from logogan_jax.training.metric_accumulator import Broken


def keep(run, good, broken, name):
    """Write state and batch of the dispatch that broke, and where its keys come from, into nonfinite/`name`.

    `good` is (step, state) of a step before it, whose state is used up: the dispatches between are run again.
    Returns the folder; one that is there already was written by this same run before it was stopped.
    """
    number, state = good
    made, config = run.made, run.config
    last, size = config.train.steps, made.per_dispatch
    count = min(size - number % size, last - number)
    while number + count < broken.step:
        state, _ = run.dispatch(count, state, made.source.at(number, count))
        number += count
        count = min(size - number % size, last - number)
    folder = run.workdir / "nonfinite" / name
    if (folder / "about.json").exists() or not multihost.is_primary():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with ocp.StandardCheckpointer(multiprocessing_options=multihost.single_process_options()) as writer:
        writer.save(folder.absolute() / "state", state, force=True)
    batch = streaming.read_batches(
        made.train, seed=config.train.seed, step=number, count=count,
        shape=(made.model.objective.batches_per_step, config.train.batch_size),
        same_batch_for=config.data.same_batch_for,
    )  # fmt: skip
    with files.atomic_write(folder / "batch.npz") as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **batch._asdict())
    about = {"broken": {**broken._asdict(), "value": str(broken.value)}, "first_step": number, "steps": count}
    keys = "fold_in(key of the state, [1, step - 1, player, update]), then the row of the batch"
    files.write_json(folder / "about.json", {**about, "keys": keys})
    return folder


def newest(workdir):
    """The newest folder that `keep` wrote below a run's; UserError if there is none."""
    found = sorted(workdir.glob("nonfinite/*/about.json"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise UserError(f"--workdir={workdir} holds no nonfinite/*/about.json: every number of that run was finite")
    return found[-1].parent


def read(folder, like):
    """(Broken, first step, state placed as `like`, Batch on the host) that `keep` wrote."""
    try:
        about = json.loads((folder / "about.json").read_text())
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        with ocp.StandardCheckpointer() as reader:
            state = reader.restore(folder.absolute() / "state", shapes)
        with np.load(folder / "batch.npz") as file:
            batch = Batch(**file)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} cannot be read ({str(error)[:200]}): delete it, and train again") from None
    found = about["broken"]
    return Broken(found["step"], found["name"], float(found["value"])), about["first_step"], state, batch
