"""Seconds of a step, from the counts of its kernels and the figures of an accelerator.

A kernel takes the longer of its arithmetic and its traffic (the roofline model: Williams et al. 2009), and the time to
start it. Where the compiler itself says how many cycles a kernel takes, as libtpu does, that is taken instead.
Exchanges of devices go around a ring, and cost only what the kernels between their start and their end do not hide. So
do transfers between the memories of a TPU, which go on one after the other.
Nothing was measured: the shares of the vendors' figures that a program reaches are those below.
"""

import dataclasses
from collections.abc import Mapping

from logogan_jax.plan.costs import TRANSFER, WAIT, Kernel
from logogan_jax.plan.targets import Target

ARITHMETIC_SHARE = 0.7  # of the matrix units' rate
TRAFFIC_SHARE = 0.9  # of the memory's rate
LINK_SHARE = 0.8  # of the links' rate
LAUNCH_SECONDS = 2e-6  # from the end of a kernel to the start of the next
EXCHANGE_SECONDS = 10e-6  # of an exchange of nothing between the devices of a host
NETWORK_SECONDS = 30e-6  # and between hosts
_DTYPES: Mapping[str, str] = {"bf16": "bfloat16", "f16": "bfloat16"}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Predicted seconds of one training step: all of them, and its parts.

    `arithmetic` and `traffic` are what each would take alone; of a kernel only the longer counts for `step`.
    `communication` is what exchanges take, of which `exposed` is hidden by nothing.
    """

    step: float
    arithmetic: float
    traffic: float
    launches: float
    communication: float
    exposed: float


def predict(kernels: list[Kernel], target: Target, *, steps: int, devices: int, hosts: int) -> Prediction:
    """Predict a step of a program of `steps` steps on `devices` devices of each of some hosts."""
    seconds = {kernel.name: _kernel_seconds(kernel, target) for kernel in kernels}
    communication = 0.0
    exposed = 0.0
    for place, kernel in enumerate(kernels):
        if kernel.exchanged_bytes:
            needed = _exchange_seconds(kernel, target, devices, hosts)
            hidden = _hidden_seconds(kernel, kernels[place + 1 :], seconds) if kernel.end else 0.0
            communication += kernel.runs * needed
            exposed += kernel.runs * max(0.0, needed - hidden)
    total = sum(kernel.runs * seconds[kernel.name] for kernel in kernels if not kernel.exchanged_bytes)
    total += _waited_seconds(kernels, seconds, target)
    # A TPU starts the kernels of a program by itself.
    launches = sum(kernel.runs for kernel in kernels) * (LAUNCH_SECONDS if target.cuda else 0.0)
    arithmetic = sum(kernel.runs * _arithmetic(kernel, target) for kernel in kernels)
    traffic = sum(kernel.runs * _traffic(kernel, target) for kernel in kernels)
    parts = (total + launches + exposed, arithmetic, traffic, launches, communication, exposed)
    return Prediction(*(part / steps for part in parts))


def _arithmetic(kernel: Kernel, target: Target) -> float:
    rate = target.flops_per_second[_DTYPES.get(kernel.dtype, "float32")]
    return kernel.flops / rate / ARITHMETIC_SHARE


def _traffic(kernel: Kernel, target: Target) -> float:
    return kernel.nbytes / target.memory_bytes_per_second / TRAFFIC_SHARE


def _kernel_seconds(kernel: Kernel, target: Target) -> float:
    if kernel.kind == TRANSFER:
        return 0.0  # only who waits for it loses time
    if target.tpu and kernel.cycles:
        return kernel.cycles / (target.tpu["clock_rate_ghz"] * 1e9)
    return max(_arithmetic(kernel, target), _traffic(kernel, target))


def _exchange_seconds(kernel: Kernel, target: Target, devices: int, hosts: int) -> float:
    """Return the seconds of an exchange around a ring of all devices, whose slowest link decides."""
    every = devices * hosts
    if every == 1:
        return 0.0
    rate = target.link_bytes_per_second
    if hosts > 1:
        rate = min(rate, target.network_bytes_per_second)
    moved = 2 * (every - 1) / every * kernel.exchanged_bytes
    return moved / rate / LINK_SHARE + (NETWORK_SECONDS if hosts > 1 else EXCHANGE_SECONDS)


def _hidden_seconds(exchange: Kernel, later: list[Kernel], seconds: dict[str, float]) -> float:
    """Return the seconds of the kernels that run before the program waits for an exchange."""
    hidden = 0.0
    for kernel in later:
        if kernel.name == exchange.end:
            break
        hidden += seconds[kernel.name] * kernel.runs / exchange.runs
    return hidden


def _waited_seconds(kernels: list[Kernel], seconds: dict[str, float], target: Target) -> float:
    """Return the seconds for which kernels wait for transfers."""
    now = free = waited = 0.0
    begun: dict[str, tuple[float, int]] = {}  # by what waits for it: when it will be done, and how often it runs
    for kernel in kernels:
        now += seconds[kernel.name]
        if kernel.kind == TRANSFER:
            # In the order of the program: the memory gives its whole rate to each.
            free = max(free, now) + _traffic(kernel, target)
            begun[kernel.end] = free, kernel.runs
        elif kernel.kind == WAIT and kernel.name in begun:
            done, runs = begun.pop(kernel.name)
            waited += runs * max(0.0, done - now)
            now = max(now, done)
    return waited
