"""The devices of a run: one axis named "data", arrays placed along it, one replica's program mapped over it."""

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from logogan_jax.errors import UserError

AXIS = "data"
WHOLE = P()  # the same array on every device
ROWS = P(None, None, AXIS)  # [steps, draws, B, ...], split over devices along B
SPLIT = P(AXIS)  # [n, ...], split over devices along n, for programs that are not mapped


def row_numbers(per_replica):
    """Global batch rows of this replica, inside a mapped program: int32[per_replica]."""
    return jax.lax.axis_index(AXIS) * per_replica + jax.numpy.arange(per_replica)


def local(params):
    """Parameters as this replica's own copy, so that their gradients are its own until `mean`.

    Differentiating the replica's mean loss and averaging the gradients is right under shard_map's
    checking and under pmap alike; averaging the loss instead is silently wrong under pmap.
    """
    return jax.tree.map(lambda p: jax.lax.pcast(p, (AXIS,), to="varying"), params)


def mean(tree):
    """Mean over replicas of every leaf."""
    return jax.lax.pmean(tree, AXIS)


class Parallel:
    """Data parallelism over local devices by `how`: "shard_map" or "pmap", the same training either way."""

    def __init__(self, how, batch_size, devices=None):
        devices = jax.local_devices() if devices is None else devices
        if how not in ("shard_map", "pmap"):
            raise UserError(f"config.train.parallel is {how!r}: it should be 'shard_map' or 'pmap'")
        if batch_size % len(devices):
            fits = max(len(devices), batch_size // len(devices) * len(devices))
            raise UserError(
                f"config.train.batch_size is {batch_size}, which {len(devices)} devices do not divide: "
                f"use --config.train.batch_size={fits}, or fewer devices"
            )
        self._how = how
        self.devices = list(devices)
        self.mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)

    def place(self, tree, spec):
        """Host arrays (or arrays elsewhere) -> device arrays laid out by WHOLE or ROWS."""
        if spec == ROWS and self._how == "pmap":
            # pmap wants the split axis to have one entry per device.
            split = lambda x: x.reshape(*x.shape[:2], len(self.devices), -1, *x.shape[3:])
            tree = jax.tree.map(lambda x: split(np.asarray(x)), tree)
        return jax.device_put(tree, NamedSharding(self.mesh, spec))

    def program(self, replica, specs):
        """Compile-ready function of (state, feed): `replica` on every device; the state is donated.

        `specs` is a prefix of the feed's tree with WHOLE or ROWS at its leaves.
        """
        if self._how == "pmap":
            axes = jax.tree.map(lambda spec: 2 if spec == ROWS else None, specs, is_leaf=_is_spec)
            return jax.pmap(
                replica,
                axis_name=AXIS,
                in_axes=(None, axes),
                out_axes=None,
                donate_argnums=0,
                devices=self.devices,
            )
        mapped = jax.shard_map(replica, mesh=self.mesh, in_specs=(WHOLE, specs), out_specs=WHOLE)
        return jax.jit(mapped, donate_argnums=0)


def _is_spec(node):
    return isinstance(node, P)
