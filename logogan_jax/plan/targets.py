"""The accelerators for which programs can be compiled without having one; targets.json holds their figures.

The figures are the vendors' own: dense matrix products of the tensor cores (float32 as XLA multiplies it by default, in
TF32 on GPUs and in several passes of bfloat16 on TPUs), memory, and the links between the devices of a host, in one
direction. What the CUDA compiler asks of a GPU is what XLA's own target descriptions say; of the L4, which has none, it
is what NVIDIA says of it. The networks between hosts are those of the machines that clouds rent out, in round numbers.
"""

import importlib.util
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from logogan_jax.core import installation
from logogan_jax.core.errors import UserError

# What all NVIDIA GPUs since 2017 have in common, as protocol-buffer text.
_CUDA_TARGET = """\
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  memory_bandwidth: {memory_bandwidth} device_memory_size: {memory_bytes}
{others}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 }}
runtime_version {{ major: 12 minor: 8 patch: 0 }}
device_description_str: "{title}"
"""
# How 1, 4, 8 ... TPU chips are wired; a host has at most 8.
TPU_SHAPES = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8"}
# What is read when JAX and libtpu are imported. Devices of this machine are not asked for, because they may be busy or
# of another kind. libtpu need not ask Google's servers which machine this is, nor lock chips that it does not use.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
# JAX takes three quarters of a GPU's memory unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise.
_USABLE = {"gpu": 0.75, "tpu": 0.97}


class Target(NamedTuple):
    """An accelerator.

    Attributes:
        name: the word of --target.
        title: the vendor's name.
        device_kind: a regular expression that finds its kind as JAX names it.
        accelerators: its names in cloud/prices.csv.
        memory_bytes: of one device.
        memory_bytes_per_second: between memory and arithmetic.
        flops_per_second: {"bfloat16" or "float32": floating-point operations a second}.
        link_bytes_per_second: from one device to others of its host.
        network_bytes_per_second: from one host to others.
        cuda: what the CUDA compiler wants to know; {} for a TPU.
        tpu: {"version": libtpu's name, "clock_rate_ghz": of its cycles}; {} for a GPU.
    """

    name: str
    title: str
    device_kind: str
    accelerators: list[str]
    memory_bytes: int
    memory_bytes_per_second: float
    flops_per_second: Mapping[str, float]
    link_bytes_per_second: float
    network_bytes_per_second: float
    cuda: Mapping[str, Any] = {}
    tpu: Mapping[str, Any] = {}

    @property
    def platform(self) -> str:
        """The name by which programs are traced for it: "gpu" or "tpu"."""
        return "gpu" if self.cuda else "tpu"

    @property
    def usable_bytes(self) -> int:
        """Return the memory that a program of JAX gets."""
        return int(self.memory_bytes * _USABLE[self.platform])


def load() -> dict[str, Target]:
    """Return {name: Target} of all targets."""
    text = (pathlib.Path(__file__).parent / "targets.json").read_text(encoding="utf-8")
    return {name: Target(name, **values) for name, values in json.loads(text).items()}


def lookup(name: str) -> list[Target]:
    """Return the target of a --target, or all of them for "all"."""
    targets = load()
    if name == "all":
        return list(targets.values())
    if name not in targets:
        raise UserError(f"--target={name}: it should be all, or one of {', '.join(targets)}")
    return [targets[name]]


def of_device(kind: str) -> Target | None:
    """Return the target that is a device of a kind, such as "NVIDIA H100 80GB HBM3", or None if none is."""
    return next((target for target in load().values() if re.search(target.device_kind, kind)), None)


def cuda_description(target: Target) -> str:
    """Return XLA's description of a GPU, a GpuTargetConfigProto as text."""
    values = dict(target.cuda)
    major, minor = values.pop("compute_capability").split(".")
    return _CUDA_TARGET.format(
        major=major,
        minor=minor,
        memory_bandwidth=int(target.memory_bytes_per_second),
        memory_bytes=target.memory_bytes,
        others="\n".join(f"  {name}: {value}" for name, value in values.items()),
        title=target.title,
    )


def check(target: Target, devices: int, hosts: int) -> None:
    """Raise a UserError if no program can be compiled here for a number of devices on each of some hosts."""
    if not 1 <= devices <= 8 or hosts < 1:
        raise UserError(
            f"--devices={devices} --hosts={hosts}: they should be 1 to 8 devices on each of 1 or more hosts"
        )
    if target.tpu and not (devices in TPU_SHAPES and devices * hosts in TPU_SHAPES):
        sizes = ", ".join(map(str, TPU_SHAPES))
        raise UserError(f"--devices={devices} --hosts={hosts}: {target.title} come in slices of {sizes} chips")
    plugin, extra = ("libtpu", "tpu") if target.tpu else ("jax_plugins.xla_cuda13", "cuda")
    if not _is_installed(plugin):
        raise UserError(
            f"--target={target.name} needs the compiler of {target.title}, which no device is needed for: "
            f"{installation.install_command(extra)}"
        )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
