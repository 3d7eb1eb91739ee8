"""Which GPUs each of several runs may use."""

import json
import math
import os
import subprocess
import sys

from logogan_jax.core.errors import UserError

_QUERY = "import jax, json; print(json.dumps([jax.default_backend(), jax.local_device_count()]))"
_SHARED_FRACTION = 0.9  # of a GPU's memory, where several runs share it; the rest is for their CUDA contexts


def list_gpus() -> list[str]:
    """Return the names by which CUDA_VISIBLE_DEVICES knows the GPUs that JAX would use here; [] without GPUs.

    JAX is asked in another process, so that this one holds no GPU. Raises a UserError where JAX does not start.
    """
    quiet = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
    query = subprocess.run(
        [sys.executable, "-c", _QUERY], env={**os.environ, **quiet}, capture_output=True, check=False, encoding="utf-8"
    )
    try:
        backend, count = json.loads(query.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        message = (query.stderr.strip().splitlines() or [f"it ended with status {query.returncode}"])[-1]
        raise UserError(f"JAX does not start on this machine: {message}") from None
    return gpu_names(count, os.environ.get("CUDA_VISIBLE_DEVICES")) if backend == "gpu" else []


def gpu_names(count: int, visible: str | None) -> list[str]:
    """Return the names of `count` GPUs, given the value of CUDA_VISIBLE_DEVICES or None."""
    names = [name.strip() for name in (visible or "").split(",") if name.strip()]
    return names[:count] or [str(number) for number in range(count)]


def assign_gpus(names: list[str], jobs: int) -> list[dict[str, str]]:
    """Return the environment of each of `jobs` runs at a time.

    Each has GPUs that no other run uses, or, where there are more jobs than GPUs, a part of the memory of one.
    """
    if not names:
        return [{} for _ in range(jobs)]
    if jobs <= len(names):
        per_job = len(names) // jobs
        return [{"CUDA_VISIBLE_DEVICES": ",".join(names[i * per_job : (i + 1) * per_job])} for i in range(jobs)]
    fraction = f"{_SHARED_FRACTION / math.ceil(jobs / len(names)):.3f}"
    memory = {} if "XLA_PYTHON_CLIENT_MEM_FRACTION" in os.environ else {"XLA_PYTHON_CLIENT_MEM_FRACTION": fraction}
    return [{"CUDA_VISIBLE_DEVICES": names[i % len(names)], **memory} for i in range(jobs)]
