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
SHARDED = P(AXIS)  # [n, ...], split over the devices along n


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


def broadcast_spec(specs: Any, tree: Any) -> Any:
    """Return a PartitionSpec for every leaf of a tree, from specs that are a prefix of it."""
    return jax.tree.broadcast(specs, tree, is_leaf=is_spec)


def is_spec(leaf: Any) -> bool:
    """Return whether a leaf of a tree is a PartitionSpec."""
    return isinstance(leaf, P)


def make_readable(tree: Any) -> Any:
    """Return a tree in which arrays of which this process holds only a part have become whole numpy arrays.

    Where there are such arrays, all processes have to call this.
    """
    whole = lambda x: not isinstance(x, jax.Array) or x.is_fully_addressable or x.is_fully_replicated
    with jax.transfer_guard("allow"):
        return jax.tree.map(lambda x: x if whole(x) else multihost_utils.process_allgather(x, tiled=True), tree)


def gather(tree: Any) -> Any:
    """Return device arrays as whole numpy arrays; all processes call this."""
    return jax.device_get(make_readable(tree))


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

    @property
    def parts(self) -> int:
        """Parts that the state of an optimizer may be cut into: see `share_layout`."""
        # pmap knows no results that lie partly here and partly there.
        return 1 if self._mapping == "pmap" else len(self.devices)

    def device_put(self, tree: Any, specs: Any) -> Any:
        """Copy arrays of the host, or of other devices, to the devices, laid out as `specs`, a prefix of the tree.

        Every process passes the whole arrays, except for BATCH: then it passes only its `process_rows`.
        """
        if specs == BATCH and self._mapping == "pmap":
            # pmap wants an axis with one entry per device in place of the split axis.
            split = lambda x: x.reshape(*x.shape[:2], len(self.devices), -1, *x.shape[3:])
            tree = jax.tree.map(lambda x: split(np.asarray(x)), tree)
        shardings = jax.tree.map(lambda spec: NamedSharding(self.mesh, spec), specs, is_leaf=is_spec)
        if all(sharding.is_fully_addressable for sharding in jax.tree.leaves(shardings)):
            return jax.device_put(tree, shardings)
        put = _put_process_rows if specs == BATCH else _put_whole
        # The transfer guard of the training loop also forbids these transfers, and JAX has no explicit form of them.
        with jax.transfer_guard("allow"):
            return jax.tree.map(put, tree, jax.tree.broadcast(shardings, tree))

    def map_and_jit(
        self, replica: Callable[[Any, Any], Any], specs: Any, *, state: Any = REPLICATED, results: Any = REPLICATED
    ) -> Any:
        """Map replica(state, feed) over the devices and jit it.

        `specs` is a prefix of the feed's tree with REPLICATED or BATCH at its leaves; `state` and `results` are
        prefixes of the trees of the state and of what is returned. The state's buffers are donated. Returns a jitted
        function, which has `lower` too.
        """
        if self._mapping == "pmap":
            axes = jax.tree.map(lambda spec: 2 if spec == BATCH else None, specs, is_leaf=is_spec)
            return jax.pmap(
                replica,
                axis_name=AXIS,
                in_axes=(None, axes),
                out_axes=None,
                donate_argnums=0,
                devices=self.devices,
            )
        # shard_map checks that replicated results are the same on every replica: a mean that was forgotten is an error.
        mapped = jax.shard_map(replica, mesh=self.mesh, in_specs=(state, specs), out_specs=results)
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


# ── shares of the optimizers' state ─────────────────────────────────────────────────────────

# ZeRO stage 1 (Rajbhandari et al. 2020, arXiv 1910.02054). The mean of a large gradient is scattered: each device gets
# its share of the rows and updates its share of the moments and parameters, and the new parameters are gathered. One
# all-reduce, a reduce-scatter and an all-gather of the gradient, exchanges as much. But a device reads and writes only
# its share of what the optimizer keeps.
#
# A layout is a tree of specs, or a prefix of one: SHARDED for a leaf of which each device updates its share, REPLICATED
# for one that every device updates. The functions but `share_layout` are for use inside a mapped function.

# Adam moves 28 bytes for each number that it updates. Of a leaf of this size, shares save an H100 8 microseconds of
# that, about what the second exchange costs that they need. Smaller leaves stay on all devices.
LEAST_SHARED = 1 << 20  # numbers of a leaf that devices share


def share_layout(tree: Any, devices: int) -> Any:
    """Return how the gradients, moments and updates of a tree of arrays or shapes lie on some devices.

    The rule knows nothing but shapes, so that a moment lies as its parameter's gradient does.
    """
    return jax.tree.map(lambda leaf: _spec(leaf.shape, leaf.size, devices), tree)


def _spec(shape: tuple[int, ...], size: int, devices: int) -> P:
    # Whole rows, so that they can be projected, and a share lies together in the memory: exchanges need no copies.
    return SHARDED if devices > 1 and size >= LEAST_SHARED and shape[0] % devices == 0 else REPLICATED


def mean_share(tree: Any, layout: Any) -> Any:
    """Return this device's share of the mean over replicas of every leaf; of a leaf without shares, all of it."""
    leaves, structure = jax.tree.flatten(tree)
    specs = jax.tree.leaves(broadcast_spec(layout, tree), is_leaf=is_spec)
    large = [leaf for leaf, spec in zip(leaves, specs, strict=True) if spec == SHARDED]
    small = [leaf for leaf, spec in zip(leaves, specs, strict=True) if spec != SHARDED]
    if large:
        large = [share / jax.lax.axis_size(AXIS) for share in jax.lax.psum_scatter(large, AXIS, tiled=True)]
        # The small ones come last. Without this order XLA exchanges the large ones when all gradients are there, and
        # nothing is left that could hide it.
        large, small = jax.lax.optimization_barrier((large, small))
    # Together, so that XLA can combine them: a small collective costs its latency, whatever its size.
    means = {SHARDED: iter(large), REPLICATED: iter(pmean(small))}
    return jax.tree.unflatten(structure, [next(means[spec]) for spec in specs])


def own_share(tree: Any, layout: Any) -> Any:
    """Return this device's share of arrays that all devices have."""

    def rows(leaf: jax.Array) -> jax.Array:
        count = len(leaf) // jax.lax.axis_size(AXIS)
        return jax.lax.dynamic_slice_in_dim(leaf, jax.lax.axis_index(AXIS) * count, count)

    return _map_shared(rows, tree, layout)


def gather_shares(shares: Any, layout: Any) -> Any:
    """Return the whole arrays, the same on all devices, from the share that each device has."""
    return _map_shared(lambda share: jax.lax.all_gather(share, AXIS, tiled=True, to="invarying"), shares, layout)


def sum_over_shares(sums: jax.Array, layout: Any) -> jax.Array:
    """Return sums over n whole arrays, [n], where `sums` are over this device's shares of some of them.

    `layout` is a tree of n specs.
    """
    shared = np.array([spec == SHARDED for spec in jax.tree.leaves(layout, is_leaf=is_spec)])
    if not shared.any():
        return sums
    # In one exchange: what all devices have counts once.
    return jax.lax.psum(jax.numpy.where(shared | (jax.lax.axis_index(AXIS) == 0), sums, 0), AXIS)


def _map_shared(function: Any, tree: Any, layout: Any) -> Any:
    """Map a function over the leaves that devices share; the others stay as they are."""
    one = lambda leaf, spec: function(leaf) if spec == SHARDED else leaf
    return jax.tree.map(one, tree, broadcast_spec(layout, tree))
