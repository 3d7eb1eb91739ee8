"""Everything that must survive a crash, as one tree of arrays."""

import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class State(NamedTuple):
    """step int32[], key uint32[2] (the run's constant seed key), rate float32[], dictionaries by network name.

    `rate` scales every optimiser's updates: 1, or less once the guard has rolled the run back.
    `params` and `opt` are float32 parameters and their optimiser states, `stats` the batch-norm
    running statistics, `ema` {"params", "stats"} of the averaged networks. Statistics are averaged
    with the parameters, so that an averaged network sees activations as old as itself.
    """

    step: jax.Array
    key: jax.Array
    rate: jax.Array
    params: dict
    stats: dict
    opt: dict
    ema: dict


def initial(networks, optimizers, averaged, seed):
    """The state at step 0 and the networks' static parts: {name: nnx.Module} -> (State, graphs)."""
    graphs, params, stats = {}, {}, {}
    for name, network in networks.items():
        graphs[name], params[name], rest = nnx.split(network, nnx.Param, ...)
        stats[name] = nnx.to_pure_dict(rest)
        params[name] = nnx.to_pure_dict(params[name])
    ema = {
        "params": {name: jax.tree.map(jnp.copy, params[name]) for name in averaged},
        "stats": {name: jax.tree.map(jnp.copy, stats[name]) for name in averaged},
    }
    state = State(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(jax.random.key(seed)),
        rate=jnp.ones((), jnp.float32),
        params=params,
        stats=stats,
        opt={name: optimizers[name].init(params[name]) for name in params},
        ema=ema,
    )
    return state, graphs


def paths(tree):
    """The leaves of a tree by name: {"critic/convs/0/kernel": leaf, ...}."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat}


def digest(state):
    """SHA-256 over the name, dtype, shape and bytes of every leaf, as hexadecimal."""
    total = hashlib.sha256()
    for name, leaf in sorted(paths(jax.device_get(state)).items()):
        leaf = np.asarray(leaf)
        total.update(f"{name} {leaf.dtype} {leaf.shape}\n".encode())
        total.update(leaf.tobytes())
    return total.hexdigest()
