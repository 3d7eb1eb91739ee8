"""The devices of a run: one axis named "data", arrays placed along it, one replica's program mapped over it."""

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from logogan_jax.core.errors import UserError

AXIS = "data"
REPLICATED = P()  # the same array on every device
BATCH = P(None, None, AXIS)  # [steps, draws, B, ...], split over devices along B
SHARDED = P(AXIS)  # [n, ...], split over devices along n, for programs that are not mapped


def replica_rows(per_replica):
    """Global batch rows of this replica, inside a mapped program: int32[per_replica]."""
    return jax.lax.axis_index(AXIS) * per_replica + jax.numpy.arange(per_replica)


def to_varying(params):
    """Parameters as this replica's own copy, so that their gradients are its own until `pmean`.

    Differentiating the replica's mean loss and averaging the gradients is right under shard_map's
    checking and under pmap alike; averaging the loss instead is silently wrong under pmap.
    """
    return jax.tree.map(lambda p: jax.lax.pcast(p, (AXIS,), to="varying"), params)


def pmean(tree):
    """Mean over replicas of every leaf."""
    return jax.lax.pmean(tree, AXIS)


class DataParallel:
    """Data parallelism over devices by `how`: "shard_map" or "pmap", the same training either way.

    Over all devices of all processes unless some are given; `process_rows` are the rows int[n] of a global
    batch that this process's devices hold.
    """

    def __init__(self, how, batch_size, devices=None):
        devices = jax.devices() if devices is None else devices
        if how not in ("shard_map", "pmap"):
            raise UserError(f"config.train.parallel is {how!r}: it should be 'shard_map' or 'pmap'")
        if how == "pmap" and jax.process_count() > 1:
            raise UserError(
                f"config.train.parallel is 'pmap', which drives one machine, and {jax.process_count()} processes "
                f"train together: use --config.train.parallel=shard_map"
            )
        if batch_size % len(devices):
            fits = max(len(devices), batch_size // len(devices) * len(devices))
            raise UserError(
                f"config.train.batch_size is {batch_size}, which {len(devices)} devices do not divide: "
                f"use --config.train.batch_size={fits}, or fewer devices"
            )
        self._how = how
        self.devices = list(devices)
        self.mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
        parts = NamedSharding(self.mesh, SHARDED).addressable_devices_indices_map((batch_size,)).values()
        self.process_rows = np.sort(np.concatenate([np.arange(batch_size)[part] for part in parts]))

    def device_put(self, tree, spec):
        """Host arrays (or arrays elsewhere) -> device arrays laid out by REPLICATED, BATCH or SHARDED.

        Every process gives the whole array, but by BATCH its own `process_rows` of it.
        """
        if spec == BATCH and self._how == "pmap":
            # pmap wants the split axis to have one entry per device.
            split = lambda x: x.reshape(*x.shape[:2], len(self.devices), -1, *x.shape[3:])
            tree = jax.tree.map(lambda x: split(np.asarray(x)), tree)
        sharding = NamedSharding(self.mesh, spec)
        if sharding.is_fully_addressable:
            return jax.device_put(tree, sharding)
        put = _rows_of_all if spec == BATCH else _part_of_whole
        with jax.transfer_guard("allow"):  # JAX knows no explicit form of these
            return jax.tree.map(lambda x: put(x, sharding), tree)

    def gather(self, tree):
        """Device arrays -> the whole of them as host arrays, on every process."""
        if all(x.is_fully_addressable or x.is_fully_replicated for x in jax.tree.leaves(tree)):
            return jax.device_get(tree)
        with jax.transfer_guard("allow"):
            return multihost_utils.process_allgather(tree, tiled=True)

    def map_and_jit(self, replica, specs):
        """Compile-ready function of (state, feed): `replica` on every device; the state is donated.

        `specs` is a prefix of the feed's tree with REPLICATED or BATCH at its leaves.
        """
        if self._how == "pmap":
            axes = jax.tree.map(lambda spec: 2 if spec == BATCH else None, specs, is_leaf=_is_spec)
            return jax.pmap(
                replica,
                axis_name=AXIS,
                in_axes=(None, axes),
                out_axes=None,
                donate_argnums=0,
                devices=self.devices,
            )
        mapped = jax.shard_map(replica, mesh=self.mesh, in_specs=(REPLICATED, specs), out_specs=REPLICATED)
        return jax.jit(mapped, donate_argnums=0)


def _is_spec(node):
    return isinstance(node, P)


def _part_of_whole(x, sharding):
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_part_of_whole(jax.random.key_data(x), sharding))
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda part: x[part])


def _rows_of_all(x, sharding):
    return jax.make_array_from_process_local_data(sharding, np.asarray(x))
