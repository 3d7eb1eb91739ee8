"""The processes of a run, one on each host: how they start together, agree, and notice that one is lost."""

import contextlib
import contextvars
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost, options

from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.distributed import rendezvous

# A lost process is named after this and ROLL_CALL_TIMEOUT together: within a minute.
HEARTBEAT_TIMEOUT = 30  # seconds without a sign of life after which a process counts as lost
BARRIER_TIMEOUT = 900  # seconds in which one process may download, read or write what the others wait for
ROLL_CALL_TIMEOUT = 15  # seconds in which a process has to answer once another one has failed

# Broadcasts are padded to a multiple of this many bytes: JAX compiles one program for each length.
_BROADCAST_BLOCK = 1 << 12
_ALONE = contextvars.ContextVar("alone", default=False)
# JAX has no error class for a lost process: the words of its transports have to do.
_CONNECTION_ERROR = re.compile(r"gloo|nccl|coordination|connection|peer|unavailable|deadline", re.IGNORECASE)


def initialize(coordinator: str, count: int | None, process_id: int | None) -> None:
    """Make this process one of the processes of a run. Call this before JAX looks for devices.

    `coordinator` is "host:port" of process 0; `count` is the number of processes, `process_id` the number of this one.
    Or it is "auto": JAX then asks Slurm, the TPU pod or Open MPI. Raises Unfinished if a process does not start in
    time.
    """
    limits = {
        "initialization_timeout": int(rendezvous.TIMEOUT),
        "heartbeat_timeout_seconds": HEARTBEAT_TIMEOUT,
        "shutdown_timeout_seconds": HEARTBEAT_TIMEOUT,
        # An empty list means all devices of the host. Without it JAX gives a process of a cluster only one.
        "local_device_ids": [],
    }
    if coordinator == "auto":
        _initialize_from_cluster(limits)
        return
    assert count is not None and process_id is not None  # the command asks for both
    if not 0 <= process_id < count:
        raise UserError(f"--process_id={process_id}: with --num_processes={count} it should be from 0 to {count - 1}")
    # First our own waiting, because JAX's error does not say which process is missing.
    rendezvous.wait_for_all(coordinator, count, process_id)
    jax.distributed.initialize(coordinator, count, process_id, **limits)


def _initialize_from_cluster(limits: dict[str, Any]) -> None:
    try:
        jax.distributed.initialize(**limits)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--coordinator=auto finds no Slurm job, TPU pod or Open MPI here ({str(error).splitlines()[0]}): "
            f"give --coordinator=HOST:PORT --num_processes=N --process_id=I"
        ) from None


def shutdown() -> None:
    """Wait until all processes are done."""
    if jax.process_count() > 1:
        jax.distributed.shutdown()


def is_primary() -> bool:
    """Return whether this is process 0, which writes the files of the run."""
    return jax.process_index() == 0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let this process read and decide for itself in the block: it waits for no other one and tells none."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _is_alone() -> bool:
    return jax.process_count() == 1 or _ALONE.get()


def run_on_primary(function: Callable[[], Any]) -> Any:
    """Call function() on process 0, and return its result, a JSON value, on all processes.

    A UserError that it raises is raised on all processes.
    """
    if _is_alone():
        return function()
    message = b""
    if is_primary():
        try:
            answer = {"value": function()}
        except UserError as error:
            # The others must hear of the error: they would wait for the value until their time is up.
            answer = {"error": str(error), "status": error.status}
        message = json.dumps(answer).encode()
    _barrier()
    answer = json.loads(_broadcast_bytes(message))
    if "error" in answer:
        error = UserError(answer["error"])
        error.status = answer["status"]
        raise error
    return answer["value"]


def broadcast(tree: Any, like: Any) -> Any:
    """Send a tree of arrays from process 0 to all processes. Returns it as numpy arrays.

    The other processes pass None for `tree`. `like` is a tree of the same shapes and dtypes on every process.
    """
    if _is_alone():
        return tree
    local = jax.tree.map(np.asarray, tree) if is_primary() else jax.tree.map(_zeros_like, like)
    _barrier()
    # The transfer guard of the training loop also forbids these transfers, and JAX has no explicit form of them.
    with jax.transfer_guard("allow"):
        return multihost_utils.broadcast_one_to_all(local)


def single_process_options() -> options.MultiprocessingOptions:
    """Return Orbax options with which this process reads and writes without waiting for the others."""
    if jax.process_count() == 1:
        return options.MultiprocessingOptions()
    here = jax.process_index()
    # Without a prefix for each process, Orbax's barriers of two processes would have the same key.
    return options.MultiprocessingOptions(here, {here}, barrier_sync_key_prefix=f"process {here}")


@contextlib.contextmanager
def name_lost_processes() -> Iterator[None]:
    """Turn an error that a lost process has caused into an Unfinished that names this process."""
    try:
        yield
    except UserError:
        # The other processes make the same mistake. Whoever left first would look lost to them, so all leave together.
        _find_lost("user error")
        raise
    except (ValueError, RuntimeError) as error:
        if jax.process_count() == 1 or not _CONNECTION_ERROR.search(str(error)):
            raise
        lost = _find_lost("lost process")
        if not lost:
            raise  # all processes answer: the error has another cause
        reason = (str(error).splitlines() or [""])[0]
        raise Unfinished(
            f"{lost} of {jax.process_count()} no longer answers ({reason[:200]}): start the same command again, with "
            f"--num_processes for the machines that are left"
        ) from error


def _barrier() -> None:
    """Wait until all processes arrive here; raise Unfinished after BARRIER_TIMEOUT seconds.

    Call this before collective operations that some processes reach much later than others: the operations themselves
    have shorter time limits.
    """
    try:
        multihost.get_barrier_sync_fn()(key="barrier", timeout_ms=BARRIER_TIMEOUT * 1000)
    except RuntimeError as error:
        if "DEADLINE_EXCEEDED" not in str(error):
            raise  # a process is lost, which `name_lost_processes` handles
        raise Unfinished(
            f"{_missing_from(error)} did not arrive within {BARRIER_TIMEOUT} s where the others wait: see its log"
        ) from error


def _zeros_like(x: jax.ShapeDtypeStruct) -> np.ndarray:
    return np.zeros(x.shape, x.dtype)


def _broadcast_bytes(message: bytes) -> bytes:
    """Send bytes from process 0 to all processes."""
    with jax.transfer_guard("allow"):
        # The others need the length first, because all processes have to broadcast the same shape.
        size = int(multihost_utils.broadcast_one_to_all(np.array(len(message), np.int32)))
        padded = np.zeros(-(-size // _BROADCAST_BLOCK) * _BROADCAST_BLOCK, np.uint8)
        if is_primary():
            padded[:size] = np.frombuffer(message, np.uint8)
        received = np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8)
    return received[:size].tobytes()


def _find_lost(key: str) -> str:
    """Name the processes that do not arrive at a barrier of this key in time, or return ""."""
    try:
        multihost.get_barrier_sync_fn()(key=key, timeout_ms=ROLL_CALL_TIMEOUT * 1000)
    except (ValueError, RuntimeError) as error:
        return _missing_from(error)
    return ""


def _missing_from(error: Exception) -> str:
    """Name the processes that the error of a barrier lists."""
    listed = re.search(r"timed out task names:\s*([\d,\s]+)", str(error))
    missing = re.findall(r"\d+", listed[1]) if listed else rendezvous.silent_processes(str(error))
    if not missing:
        # Process 0 keeps the barrier. Without a list the others know that it is process 0 that does not answer.
        return "another process" if is_primary() else rendezvous.name_processes([0])
    return rendezvous.name_processes(sorted({int(number) for number in missing}))
