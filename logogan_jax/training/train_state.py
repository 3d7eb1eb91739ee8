"""Everything that must survive a crash, as one tree of arrays."""

import concurrent.futures
import hashlib
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from logogan_jax.distributed import data_parallel
from logogan_jax.distributed.data_parallel import REPLICATED

# A constant, not a share for each core: another machine has to find the same digest.
PART = 1 << 24  # bytes that one thread takes the digest of at a time
# The rule and the share are those of StyleGAN2-ADA's code (`ema_rampup`).
EMA_WARMUP = 0.05  # the half-life is at most this share of the images seen, so early pictures are not of the start


class TrainState(NamedTuple):
    """The state of training after a step.

    Attributes:
        step: steps done, int32[].
        key: data of the run's constant random key, uint32[2]. No key is ever advanced: see core/prng.py.
        lr_scale: factor of every optimizer's updates, float32[]: 1, or less after a roll-back.
        params: float32 parameters, by network.
        model_state: what a network keeps besides its parameters, such as batch-norm statistics, by network.
        opt_state: states of the optimizers, by network.
        ema: {"params", "model_state"} of the averaged networks. Statistics are averaged with the parameters, so that
            an averaged network sees activations as old as itself.
    """

    step: jax.Array
    key: jax.Array
    lr_scale: jax.Array
    params: dict[str, Any]
    model_state: dict[str, Any]
    opt_state: dict[str, Any]
    ema: dict[str, dict[str, Any]]


def init(
    networks: dict[str, nnx.Module],
    optimizers: dict[str, optax.GradientTransformation],
    ema_networks: tuple[str, ...],
    seed: int,
) -> TrainState:
    """Make the state of step 0 from networks with their first weights."""
    params = {}
    model_state = {}
    for name, network in networks.items():
        _, network_params, rest = nnx.split(network, nnx.Param, ...)
        # Plain dictionaries: a checkpoint holds names and arrays, and no classes of Flax.
        params[name] = nnx.to_pure_dict(network_params)
        model_state[name] = nnx.to_pure_dict(rest)
    # Copies, because the step's buffers are donated: no array may stand in the state twice.
    ema = {
        "params": {name: jax.tree.map(jnp.copy, params[name]) for name in ema_networks},
        "model_state": {name: jax.tree.map(jnp.copy, model_state[name]) for name in ema_networks},
    }
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        # Raw data, not a typed key, because a checkpoint holds arrays only.
        key=jax.random.key_data(jax.random.key(seed)),
        # In the state, not a constant of the program: a roll-back lowers it without compiling again.
        lr_scale=jnp.ones((), jnp.float32),
        params=params,
        model_state=model_state,
        # Optimizers belong to networks, not to players: two players may train the same network.
        opt_state={name: optimizers[name].init(params[name]) for name in params},
        ema=ema,
    )


def layout(state: TrainState, parts: int) -> TrainState:
    """Return how a state lies on devices: PartitionSpecs, a prefix of its tree.

    Each device keeps one of the `parts` of what an optimizer knows of a large parameter. All else is on all of them:
    the parameters, because every device computes with all of them, and their averages, because pictures are drawn by
    any device and they move only once a step.
    """
    everywhere = TrainState(*[REPLICATED] * len(TrainState._fields))  # pyright: ignore[reportArgumentType]
    return everywhere._replace(opt_state=data_parallel.share_layout(state.opt_state, parts))


def update_ema(state: TrainState, rows: int, ema_images: float) -> dict[str, dict[str, Any]]:
    """Return the next moving average of the sampled networks.

    Its half-life is given in images, so that it does not depend on the batch size; `rows` of the batch are on this
    replica.
    """
    # A replica holds only its share of the global batch.
    batch_size = rows * jax.lax.axis_size(data_parallel.AXIS)
    # In float32: an int32 would overflow after 2^31 images.
    images_seen = (state.step + 1).astype(jnp.float32) * batch_size
    # Early on a long half-life would keep showing the first, random weights.
    half_life = jnp.minimum(ema_images, EMA_WARMUP * images_seen)
    decay = jnp.exp(-math.log(2) * batch_size / half_life)
    current = {
        "params": {name: state.params[name] for name in state.ema["params"]},
        "model_state": {name: state.model_state[name] for name in state.ema["model_state"]},
    }
    # In this form an average that equals its value stays equal to the bit.
    return jax.tree.map(lambda average, value: value + decay * (average - value), state.ema, current)


def flatten_with_names(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by name: {"critic/convs/0/kernel": leaf, ...}."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def digest(state: Any) -> str:
    """Return the SHA-256 over name, dtype, shape and bytes of every leaf of a tree, such as a state."""
    total = hashlib.sha256()
    # Sorted, because the order of a tree's leaves is no part of its values.
    for name, leaf in sorted(flatten_with_names(jax.device_get(state)).items()):
        array = np.asarray(leaf)
        # Dtype and shape, too: different arrays can have the same bytes.
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def digest_in_threads(state: TrainState) -> str:
    """Return the SHA-256 of the digests of the parts of every leaf, with its name, dtype and shape, as hexadecimal.

    As sure as `digest`, and so much faster where there are many cores that a run hardly waits for it at a checkpoint.
    """
    parts: list[bytes | np.ndarray] = []
    # hashlib lets go of Python's lock while it works on a large part, so that threads are enough.
    for name, leaf in sorted(flatten_with_names(jax.device_get(state)).items()):
        array = np.asarray(leaf)
        parts.append(f"{name} {array.dtype} {array.shape}\n".encode())
        # A view of the bytes, not a copy. A scalar needs an axis before its bytes can be viewed.
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        parts += [content[start : start + PART] for start in range(0, content.size, PART)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # `map` returns the digests in the order of the parts, whichever thread is first.
        digests = pool.map(lambda part: hashlib.sha256(part).digest(), parts)
    return hashlib.sha256(b"".join(digests)).hexdigest()
