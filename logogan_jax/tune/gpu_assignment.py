"""Which devices each of several runs may use."""

import json
import math
import os
import subprocess
import sys

from logogan_jax.core.errors import UserError

_ASK = "import jax, json; print(json.dumps([jax.default_backend(), jax.local_device_count()]))"
_ROOM = 0.9  # of a device's memory, where several runs share it


def list_gpus():
    """The names by which CUDA_VISIBLE_DEVICES knows the GPUs that JAX would use here; [] on other machines.

    Asked in a process of its own, so that this one holds no device.
    """
    quiet = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], env={**os.environ, **quiet}, text=True, capture_output=True, check=False
    )
    try:
        backend, count = json.loads(asked.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = (asked.stderr.strip().splitlines() or [f"it ended with status {asked.returncode}"])[-1]
        raise UserError(f"JAX does not start on this machine: {said}") from None
    return gpu_names(count, os.environ.get("CUDA_VISIBLE_DEVICES")) if backend == "gpu" else []


def gpu_names(count, visible):
    """The names of `count` GPUs, given the value of CUDA_VISIBLE_DEVICES or None."""
    names = [name.strip() for name in (visible or "").split(",") if name.strip()]
    return names[:count] or [str(number) for number in range(count)]


def assign_gpus(names, jobs):
    """[environment for each of some jobs at a time]: GPUs of its own, or a part of the memory of one."""
    if not names:
        return [{} for _ in range(jobs)]
    if jobs <= len(names):
        each = len(names) // jobs
        return [{"CUDA_VISIBLE_DEVICES": ",".join(names[i * each : (i + 1) * each])} for i in range(jobs)]
    part = f"{_ROOM / math.ceil(jobs / len(names)):.3f}"
    memory = {} if "XLA_PYTHON_CLIENT_MEM_FRACTION" in os.environ else {"XLA_PYTHON_CLIENT_MEM_FRACTION": part}
    return [{"CUDA_VISIBLE_DEVICES": names[i % len(names)], **memory} for i in range(jobs)]
