"""A config on a target: its step compiled for devices that are not here, counted, and turned into hours and dollars."""

import csv
import dataclasses
import time
from typing import Any

import jax
from ml_collections import ConfigDict

from logogan_jax.config import build_training
from logogan_jax.core import errors
from logogan_jax.core import target as tracing_target
from logogan_jax.core.errors import UserError
from logogan_jax.data import sources
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan import costs, hlo, prediction, targets, topology
from logogan_jax.plan.costs import Counts
from logogan_jax.plan.prediction import Prediction
from logogan_jax.plan.step_shapes import StepShapes
from logogan_jax.plan.targets import Target
from logogan_jax.training.reporting import cost


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device: the state, the images or their batches, what the program needs besides, and what is there.

    `temporaries` lack the workspace of cuDNN on GPUs, which is chosen on the device.
    """

    state: int
    data: int
    temporaries: int
    usable: int

    @property
    def needed(self) -> int:
        """Return the bytes that training needs."""
        return self.state + self.data + self.temporaries

    @property
    def fits(self) -> bool:
        """Return whether they are there."""
        return self.needed <= self.usable

    def largest_batch(self, batch_size: int, devices: int) -> int:
        """Return the largest batch that fits, a multiple of the devices, if temporaries grow with the batch alone."""
        free = self.usable - self.state - self.data
        return max(0, int(batch_size * free / max(self.temporaries, 1)) // devices * devices)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a training needs of some devices of a target. `dollars_per_hour` is 0 where no price is known.

    `too_large` is the batch size that was asked for, where the compiler found no room for it; all else is of a smaller
    one.
    """

    target: Target
    devices: int
    hosts: int
    batch_size: int
    dtype: str
    steps: int
    flops: int
    memory: Memory
    counts: Counts
    prediction: Prediction
    compile_seconds: float
    dollars_per_hour: float
    too_large: int = 0

    @property
    def fits(self) -> bool:
        """Return whether the batch that was asked for fits into the memory."""
        return self.memory.fits and not self.too_large

    @property
    def hours(self) -> float:
        """Return the predicted hours of the whole run, without what is no step."""
        return self.steps * self.prediction.step / 3600

    @property
    def dollars(self) -> float:
        """Return what the run costs."""
        return self.hours * self.dollars_per_hour

    @property
    def largest_batch(self) -> int:
        """Return the largest batch that fits into the memory."""
        return self.memory.largest_batch(self.batch_size, self.devices * self.hosts)


def dataset_info(config: ConfigDict) -> DatasetInfo:
    """Return what the model must know of the config's data set."""
    return build_training.split_dataset(config)[2]


def estimate(
    config: ConfigDict, info: DatasetInfo, target: Target, *, devices: int, hosts: int, dollars_per_hour: float
) -> Estimate:
    """Compile the step of a config for a target and predict its time. The config's own "auto" values are kept.

    A TPU's compiler refuses what does not fit. Then half of the batch is tried, and half of that.

    Raises:
        UserError: The devices do not divide the batch, a value of the config is wrong, or no batch fits.
    """
    batch_size = config.train.batch_size
    every = devices * hosts
    while True:
        try:
            found = _estimate(config, info, target, devices=devices, hosts=hosts, dollars_per_hour=dollars_per_hour)
            too_large = batch_size if config.train.batch_size < batch_size else 0
            return dataclasses.replace(found, too_large=too_large)
        except jax.errors.JaxRuntimeError as error:
            if not errors.is_out_of_memory(error):
                raise
        smaller = config.train.batch_size // 2 // every * every
        if not smaller:
            raise UserError(
                f"config.train.batch_size is {batch_size}, and {target.title} has no room for any: use a smaller "
                f"model, or another target"
            )
        config = config.copy_and_resolve_references()
        config.train.batch_size = smaller


def _estimate(
    config: ConfigDict, info: DatasetInfo, target: Target, *, devices: int, hosts: int, dollars_per_hour: float
) -> Estimate:
    with tracing_target.tracing_for(target.platform):
        config = build_training.resolve(config)
        step = StepShapes(config, info, topology.devices(target, devices, hosts), source=_source(config, info, target))
        lowered = step.program.lower(*step.arguments)
        began = time.perf_counter()
        compiled = lowered.compile()
        seconds = time.perf_counter() - began
        flops = step.flops()
    kernels = costs.kernels(hlo.parse(compiled.as_text()))
    return Estimate(
        target=target,
        devices=devices,
        hosts=hosts,
        batch_size=config.train.batch_size,
        dtype=config.train.dtype,
        steps=config.train.steps,
        flops=flops,
        memory=_memory(step, compiled, target),
        counts=costs.count(kernels, step.steps),
        prediction=prediction.predict(kernels, target, steps=step.steps, devices=devices, hosts=hosts),
        compile_seconds=seconds,
        dollars_per_hour=dollars_per_hour or table_price(target, devices) * hosts,
    )


def step_seconds(text: str, device_kind: str, *, steps: int, devices: int) -> float | None:
    """Predict the seconds of a step on devices of this host, from a compiled program of some steps as HLO.

    Returns None for a kind of device that is no target.
    """
    target = targets.of_device(device_kind)
    if target is None:
        return None
    kernels = costs.kernels(hlo.parse(text))
    return prediction.predict(kernels, target, steps=steps, devices=devices, hosts=1).step


def _source(config: ConfigDict, info: DatasetInfo, target: Target) -> str:
    """Return which source of batches training would choose."""
    if config.data.source != "auto":
        return config.data.source
    height, width = build_training.image_size(config)
    size = info.images * height * width * config.data.channels
    return sources.choose(size, target.usable_bytes)


def _memory(step: StepShapes, compiled: Any, target: Target) -> Memory:
    """Return the memory on one device of the compiled step."""
    analysis = compiled.memory_analysis()
    data = analysis.argument_size_in_bytes - step.state_bytes()
    # The results that are not written over arguments are the metrics.
    results = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    program = analysis.generated_code_size_in_bytes if target.tpu else 0
    return Memory(
        state=step.state_bytes(),
        data=data,
        temporaries=analysis.temp_size_in_bytes + max(0, results) + program,
        usable=target.usable_bytes,
    )


def table_price(target: Target, devices: int) -> float:
    """Return the lowest dollars per hour of cloud/prices.csv for a machine with so many devices, or 0.

    A machine with more devices than needed costs what it costs: half of it cannot be rented.
    """
    if not cost.TABLE.exists():
        return 0.0
    prices = []
    with open(cost.TABLE, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name, _, count = row["accelerators"].partition(":")
            chips = int(name.rsplit("-", 1)[1]) if name.startswith("tpu-") else int(count)
            if name in target.accelerators and chips >= devices and row["dollars_per_hour"]:
                prices.append(float(row["dollars_per_hour"]))
    return min(prices, default=0.0)
