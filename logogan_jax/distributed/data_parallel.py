"""Data parallelism: one mesh axis "data", arrays laid out along it, and one replica's program mapped over it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from logogan_jax.core.errors import UserError

AXIS = "data"
REPLICATED = P()  # the same array on every device
BATCH = P(None, None, AXIS)  # [steps, draws, B, ...], split over the devices along B
SHARDED = P(AXIS)  # [n, ...], split over the devices along n, for functions that are not mapped


def replica_rows(per_replica: int) -> jax.Array:
    """Return the rows of the global batch that this replica holds, int32[per_replica].

    For use inside a mapped function. Random draws are addressed by these numbers, so that they do not depend on the
    number of devices.
    """
    return jax.lax.axis_index(AXIS) * per_replica + jax.numpy.arange(per_replica)


def to_varying(params: Any) -> Any:
    """Mark parameters as different on each replica, so that each replica gets the gradients of its own loss.

    Average these gradients with `pmean`. This is right under shard_map and under pmap alike. To average the loss
    before differentiating it is silently wrong under pmap.
    """
    return jax.tree.map(lambda p: jax.lax.pcast(p, (AXIS,), to="varying"), params)


def pmean(tree: Any) -> Any:
    """Return the mean over replicas of every leaf."""
    return jax.lax.pmean(tree, AXIS)


class DataParallel:
    """Devices that share each batch, and the mapping over them: "shard_map" or "pmap", the same training.

    `devices` defaults to all devices of all processes. `process_rows` int[n] are the rows of the global batch that the
    devices of this process hold. Raises UserError if the devices do not divide `batch_size`, or for "pmap" with
    several processes.
    """

    def __init__(
        self,
        mapping: str,
        batch_size: int,
        devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm] - JAX's own alias
    ) -> None:
        self.devices = list(jax.devices() if devices is None else devices)
        _check(mapping, batch_size, len(self.devices))
        self._mapping = mapping
        # With Auto axes the compiler chooses layouts inside functions that are not mapped, such as sampling.
        self.mesh = jax.make_mesh((len(self.devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=self.devices)
        parts = NamedSharding(self.mesh, SHARDED).addressable_devices_indices_map((batch_size,)).values()
        self.process_rows = np.sort(np.concatenate([np.arange(batch_size)[part] for part in parts]))

    def device_put(self, tree: Any, spec: P) -> Any:
        """Copy arrays of the host, or of other devices, to the devices, laid out as `spec`.

        Every process passes the whole arrays, except for BATCH: then it passes only its `process_rows`.
        """
        if spec == BATCH and self._mapping == "pmap":
            # pmap wants an axis with one entry per device in place of the split axis.
            split = lambda x: x.reshape(*x.shape[:2], len(self.devices), -1, *x.shape[3:])
            tree = jax.tree.map(lambda x: split(np.asarray(x)), tree)
        sharding = NamedSharding(self.mesh, spec)
        if sharding.is_fully_addressable:
            return jax.device_put(tree, sharding)
        put = _put_process_rows if spec == BATCH else _put_whole
        # The transfer guard of the training loop also forbids these transfers, and JAX has no explicit form of them.
        with jax.transfer_guard("allow"):
            return jax.tree.map(lambda x: put(x, sharding), tree)

    def gather(self, tree: Any) -> Any:
        """Return whole device arrays as numpy arrays, on every process."""
        # Without other processes a plain copy does, and no collective operation has to be compiled.
        if all(x.is_fully_addressable or x.is_fully_replicated for x in jax.tree.leaves(tree)):
            return jax.device_get(tree)
        with jax.transfer_guard("allow"):
            return multihost_utils.process_allgather(tree, tiled=True)

    def map_and_jit(self, replica: Callable[[Any, Any], Any], specs: Any) -> Any:
        """Map replica(state, feed) over the devices and jit it.

        `specs` is a prefix of the feed's tree with REPLICATED or BATCH at its leaves; the state and all results are
        replicated. The state's buffers are donated. Returns a jitted function, which has `lower` too.
        """
        if self._mapping == "pmap":
            axes = jax.tree.map(lambda spec: 2 if spec == BATCH else None, specs, is_leaf=lambda x: isinstance(x, P))
            return jax.pmap(
                replica,
                axis_name=AXIS,
                in_axes=(None, axes),
                out_axes=None,
                donate_argnums=0,
                devices=self.devices,
            )
        # shard_map checks that all results are the same on every replica: a mean that was forgotten is an error.
        mapped = jax.shard_map(replica, mesh=self.mesh, in_specs=(REPLICATED, specs), out_specs=REPLICATED)
        # The new state takes the buffers of the old one, which is updated in place.
        return jax.jit(mapped, donate_argnums=0)


def _check(mapping: str, batch_size: int, device_count: int) -> None:
    if mapping not in ("shard_map", "pmap"):
        raise UserError(f"config.train.parallel is {mapping!r}: it should be 'shard_map' or 'pmap'")
    if mapping == "pmap" and jax.process_count() > 1:
        raise UserError(
            f"config.train.parallel is 'pmap', which works on one machine only, and {jax.process_count()} processes "
            f"train together: use --config.train.parallel=shard_map"
        )
    if batch_size % device_count:
        fits = max(device_count, batch_size // device_count * device_count)
        raise UserError(
            f"config.train.batch_size is {batch_size}, which is not divisible by {device_count} devices: "
            f"use --config.train.batch_size={fits}, or fewer devices"
        )


def _put_whole(x: Any, sharding: NamedSharding) -> jax.Array:
    """Build a global array from the whole array that every process has."""
    # Key arrays cannot become numpy arrays: their data travels instead.
    if isinstance(x, jax.Array) and jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_put_whole(jax.random.key_data(x), sharding))
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda part: x[part])


def _put_process_rows(x: Any, sharding: NamedSharding) -> jax.Array:
    """Build a global array from the rows that each process has."""
    return jax.make_array_from_process_local_data(sharding, np.asarray(x))
