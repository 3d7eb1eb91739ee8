"""Which latents a picture has, in plain NumPy, by the numbers of jax.random. A card holds the source of one prior."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from logogan_jax.config.drawer import Drawer
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core.errors import UserError
from logogan_jax.objectives.glo import fit_gaussian
from logogan_jax.training.drawing import addresses

TRIED = 16  # pictures of which a recipe must give the latents
CLOSE = 1e-4  # what two latents may differ by


class Recipe(NamedTuple):
    """How the latents of pictures are made.

    Attributes:
        name: of the prior.
        source: of a Python program that defines latents(seed, number, ...) and label(seed, number, bounds).
        call: how latents is called for picture 17 of seed 1.
        numbers: arguments of latents besides the seed and the number.
        bounds: argument of label.
    """

    name: str
    source: str
    call: str
    numbers: dict[str, Any]
    bounds: list[float]


def fold_in(key, number):
    """Return the key uint32[2] of a number under a key, as jax.random.fold_in does."""
    return np.concatenate(threefry(key, [0], [number]))


def threefry(key, high, low):
    """Return Threefry-2x32 of 20 rounds (Salmon et al. 2011) of counts uint32[n], uint32[n]: two more of these."""
    keys = np.array([[key[0]], [key[1]], [key[0] ^ key[1] ^ 0x1BD11BDA]], np.uint32)
    x = np.array(high, np.uint32) + keys[0]
    y = np.array(low, np.uint32) + keys[1]
    for i in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            x = x + y
            y = (y << np.uint32(turn) | y >> np.uint32(32 - turn)) ^ x
        x = x + keys[(i + 1) % 3]
        y = y + keys[(i + 2) % 3] + np.uint32(i + 1)
    return x, y


def unit(key, size):
    """Return float32[size], uniform on [0, 1), as jax.random.uniform does."""
    x, y = threefry(key, np.zeros(size), np.arange(size))
    return ((x ^ y) >> np.uint32(9) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def scaled(key, size, low):
    """Return float32[size], uniform from low to 1."""
    low = np.float32(low)
    return np.maximum(low, unit(key, size) * (np.float32(1) - low) + low)


def picture_key(seed, number):
    """Return the key of picture `number` of a seed."""
    return fold_in(fold_in(np.array([0, seed % 2**32], np.uint32), 3), number)


def standard(key, size):
    """Return float32[size] of N(0, 1), as jax.random.normal does: by the inverse error function of Giles (2010)."""
    x = scaled(key, size, np.nextafter(np.float32(-1), np.float32(0)))
    w = -np.log1p(-x * x)
    near = [
        2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
        -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
    ]  # fmt: skip
    far = [
        -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
    ]  # fmt: skip
    z = np.where(w < 5, np.polyval(near, w - 2.5), np.polyval(far, np.sqrt(w) - 3))
    return np.asarray(np.sqrt(2) * z * x, np.float32)


def normal(seed, number, *, size):
    """Return z float32[size] of picture `number` of a seed: the prior is N(0, I)."""
    return standard(picture_key(seed, number), size)


def uniform(seed, number, *, size, low):
    """Return z float32[size] of picture `number` of a seed: the prior is uniform from low to 1."""
    return scaled(picture_key(seed, number), size, low)


def gaussian(seed, number, *, mean, factor):
    """Return z float32[size] of picture `number` of a seed: the prior is N(mean, factor factorᵀ)."""
    return np.asarray(np.add(mean, np.matmul(factor, standard(picture_key(seed, number), len(mean)))), np.float32)


def label(seed, number, bounds):
    """Return the label of picture `number` of a seed: labels are as frequent as in the data."""
    key = fold_in(fold_in(fold_in(np.array([0, seed % 2**32], np.uint32), 3), 2**31), number)
    return np.searchsorted(np.array(bounds, np.float32), unit(key, 1)[0], side="right").astype(np.int32)


def find(run: RestoredRun) -> Recipe:
    """Return the recipe that gives the latents of a run's pictures; UserError if none does."""
    wanted = Drawer(run).latents(addresses.numbered(1, 0, TRIED))
    counts = list(run.info.labels.values()) if run.config.data.labels else [1]
    bounds = [float(bound) for bound in np.cumsum(counts)[:-1] / np.sum(counts)]
    labels = [label(1, number, bounds) for number in range(TRIED)]
    assert np.array_equal(labels, wanted.label), "the recipe of labels is not that of sample"
    for name, latents, known in _candidates(run, wanted.z.shape[1]):
        made = [latents(1, number, **known) for number in range(TRIED)]
        if np.allclose(made, wanted.z, rtol=0, atol=CLOSE):
            shown = ", ".join(f"{key}={key}" for key in known)
            call = f"latents(1, 17, {shown})"
            return Recipe(name, _source(latents), call, known, bounds)
    raise UserError(
        f"{run.workdir}: config.objective.name is {run.config.objective.name!r}, whose prior has no recipe in "
        f"logogan_jax/export/recipes.py: add one there, or the file could not say which latents a picture has"
    )


PARTS = (fold_in, threefry, unit, scaled, picture_key, standard)  # by which latents and labels are made


def _candidates(run: RestoredRun, size: int) -> list[tuple[str, Callable[..., np.ndarray], dict[str, Any]]]:
    """Return (name, latents, its further arguments) of the priors that there are."""
    found: list[tuple[str, Callable[..., np.ndarray], dict[str, Any]]] = [
        ("normal", normal, {"size": size}),
        ("uniform on [-1, 1)", uniform, {"size": size, "low": -1.0}),
        ("uniform on [0, 1)", uniform, {"size": size, "low": 0.0}),
    ]
    codes = run.state.ema["params"].get("codes")
    if codes is not None:
        mean, factor = jax.device_get(fit_gaussian(codes["table"]))
        found.append(("normal, fitted to codes", gaussian, {"mean": mean.tolist(), "factor": factor.tolist()}))
    return found


def _source(latents: Callable[..., np.ndarray]) -> str:
    named = inspect.getsource(latents).replace(f"def {latents.__name__}(", "def latents(", 1)
    parts = [*(inspect.getsource(part) for part in PARTS), named, inspect.getsource(label)]
    return "import numpy as np\n\n\n" + "\n\n".join(parts)
