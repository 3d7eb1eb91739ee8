"""Devices that need not be there: JAX compiles for them, and runs nothing on them."""

from typing import Any

from jax.experimental import topologies

from logogan_jax.plan import targets
from logogan_jax.plan.targets import Target


def devices(target: Target, count: int, hosts: int) -> list[Any]:
    """Return jax.Devices of `count` devices on each of some hosts, for `jit(...).lower(...).compile()`."""
    if target.cuda:
        # Partitions x hosts x devices.
        return _devices(
            f"1x{hosts}x{count}", "cuda", target_config=targets.cuda_description(target), topology=f"1x{hosts}x{count}"
        )
    bounds = [int(side) for side in targets.TPU_SHAPES[count].split("x")]
    shape = targets.TPU_SHAPES[count * hosts]
    return _devices(f"{target.tpu['version']}:{shape}", "tpu", chips_per_host_bounds=[*bounds, 1])


def _devices(name: str, platform: str, **options: Any) -> list[Any]:
    return list(topologies.get_topology_desc(name, platform=platform, **options).devices)
