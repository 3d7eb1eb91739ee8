"""The processes of a run, one on each host: how they come together, and what the first tells the others."""

import contextlib
import json
import re

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost, options

from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.distributed import rendezvous

HEARTBEAT = 30  # seconds without a sign of life after which a process is taken for lost
PATIENCE = 900  # seconds in which one may fetch, read or write what the others wait for
ASKED = 15  # seconds in which a process has to answer once another is in trouble
_PIECE = 1 << 12  # what is told is padded to whole pieces, so that few programs are compiled
_TROUBLE = re.compile(r"gloo|nccl|coordination|connection|peer|unavailable|deadline", re.IGNORECASE)


def initialize(coordinator, count, number):
    """Make this process one of a run's, before JAX looks for devices.

    `coordinator` is "host:port" of process 0, `count` how many there are and `number` which this is; or it is
    "auto", and JAX asks Slurm, the TPU pod or Open MPI. Raises Unfinished if some do not come.
    """
    limits = {
        "initialization_timeout": int(rendezvous.TIMEOUT), "heartbeat_timeout_seconds": HEARTBEAT,
        "shutdown_timeout_seconds": HEARTBEAT,
        "local_device_ids": [],  # all of them: of a cluster that it knows, JAX gives a process one
    }  # fmt: skip
    if coordinator == "auto":
        try:
            jax.distributed.initialize(**limits)
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"--coordinator=auto finds no Slurm job, TPU pod or Open MPI here ({str(error).splitlines()[0]}): "
                f"give --coordinator=HOST:PORT --num_processes=N --process_id=I"
            ) from None
        return
    if not 0 <= number < count:
        raise UserError(f"--process_id={number}: with --num_processes={count} it should be from 0 to {count - 1}")
    rendezvous.wait_for_all(coordinator, count, number)
    jax.distributed.initialize(coordinator, count, number, **limits)


def shutdown():
    """Wait until all processes are done."""
    if jax.process_count() > 1:
        jax.distributed.shutdown()


def is_primary():
    """Whether this is the process that writes the run's files."""
    return jax.process_index() == 0


def run_on_primary(function):
    """What function() returns on the first process, a JSON value, on all of them; its UserError is raised on all."""
    if jax.process_count() == 1:
        return function()
    said = b""
    if is_primary():
        try:
            answer = {"value": function()}
        except UserError as error:
            answer = {"error": str(error), "status": error.status}
        said = json.dumps(answer).encode()
    _barrier()
    answer = json.loads(_sent(said))
    if "error" in answer:
        error = UserError(answer["error"])
        error.status = answer["status"]
        raise error
    return answer["value"]


def broadcast(tree, like):
    """A tree of arrays of the first process as numpy arrays on all; the others give None, and shapes in `like`."""
    if jax.process_count() == 1:
        return tree
    mine = jax.tree.map(np.asarray, tree) if is_primary() else jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    _barrier()
    with jax.transfer_guard("allow"):
        return multihost_utils.broadcast_one_to_all(mine)


def _barrier():
    """Wait for the others where they may be long: what devices tell each other has shorter limits."""
    try:
        multihost.get_barrier_sync_fn()(key="told", timeout_ms=PATIENCE * 1000)
    except RuntimeError as error:
        if "DEADLINE_EXCEEDED" not in str(error):
            raise  # a process is gone
        raise Unfinished(
            f"{_late(error)} did nothing for {PATIENCE} s that the others wait for: see its log"
        ) from error


def single_process_options():
    """What tells Orbax that this process reads and writes without the others."""
    if jax.process_count() == 1:
        return options.MultiprocessingOptions()
    here = jax.process_index()
    return options.MultiprocessingOptions(here, {here}, barrier_sync_key_prefix=f"process {here}")


def _sent(said):
    with jax.transfer_guard("allow"):
        size = int(multihost_utils.broadcast_one_to_all(np.array(len(said), np.int32)))
        padded = np.zeros(-(-size // _PIECE) * _PIECE, np.uint8)
        if is_primary():
            padded[:size] = np.frombuffer(said, np.uint8)
        return np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8)[:size].tobytes()


@contextlib.contextmanager
def name_lost_processes():
    """Whatever breaks off because a process is gone becomes an Unfinished that names it, within ASKED seconds."""
    try:
        yield
    except UserError:
        _silent("a mistake")  # which the others make too: whoever left first would look lost to them
        raise
    except (ValueError, RuntimeError) as error:
        if jax.process_count() == 1 or not _TROUBLE.search(str(error)):
            raise
        gone = _silent("trouble")
        if not gone:
            raise
        count, first = jax.process_count(), (str(error).splitlines() or [""])[0]
        raise Unfinished(
            f"{gone} of {count} no longer answers ({first[:200]}): start the same command again, with "
            f"--num_processes for the machines that are left"
        ) from error


def _silent(why):
    """The processes that do not come to say the same, in words, or ""."""
    try:
        multihost.get_barrier_sync_fn()(key=why, timeout_ms=ASKED * 1000)
    except (ValueError, RuntimeError) as error:
        return _late(error)
    return ""


def _late(error):
    """The processes that a barrier's error tells of, in words; without its word, the one that keeps it."""
    told = re.search(r"timed out task names:\s*([\d,\s]+)", str(error))
    return rendezvous.name_processes(sorted({int(number) for number in re.findall(r"\d+", told[1])}) if told else [0])
