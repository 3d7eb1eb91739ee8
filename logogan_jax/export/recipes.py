"""Which latents a picture has, in plain JAX. A card holds the source of normal, uniform, gaussian and label."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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


def normal(seed, number, *, size):
    """Return z float32[size] of picture `number` of a seed: the prior is N(0, I)."""
    key = jax.random.fold_in(jax.random.key(seed), 3)
    return jax.random.normal(jax.random.fold_in(key, number), (size,))


def uniform(seed, number, *, size, low):
    """Return z float32[size] of picture `number` of a seed: the prior is uniform from low to 1."""
    key = jax.random.fold_in(jax.random.key(seed), 3)
    return jax.random.uniform(jax.random.fold_in(key, number), (size,), minval=low, maxval=1.0)


def gaussian(seed, number, *, mean, factor):
    """Return z float32[size] of picture `number` of a seed: the prior is N(mean, factor factorᵀ)."""
    key = jax.random.fold_in(jax.random.key(seed), 3)
    noise = jax.random.normal(jax.random.fold_in(key, number), (len(mean),))
    return jnp.array(mean) + jnp.matmul(jnp.array(factor), noise, precision="highest")


def label(seed, number, bounds):
    """Return the label of picture `number` of a seed: labels are as frequent as in the data."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 3), 2**31)
    draw = jax.random.uniform(jax.random.fold_in(key, number))
    return jnp.searchsorted(jnp.array(bounds, jnp.float32), draw, side="right").astype(jnp.int32)


def find(run: RestoredRun) -> Recipe:
    """Return the recipe that gives the latents of a run's pictures; UserError if none does."""
    wanted = Drawer(run).latents(addresses.numbered(1, 0, TRIED))
    counts = list(run.info.labels.values()) if run.config.data.labels else [1]
    bounds = [float(bound) for bound in np.cumsum(counts)[:-1] / np.sum(counts)]
    numbers = jnp.arange(TRIED)
    labels = jax.jit(jax.vmap(lambda number: label(1, number, bounds)))(numbers)
    assert np.array_equal(labels, wanted.label), "the recipe of labels is not that of sample"
    for name, latents, known in _candidates(run, wanted.z.shape[1]):
        made = jax.jit(jax.vmap(lambda number, latents=latents, known=known: latents(1, number, **known)))(numbers)
        if np.allclose(made, wanted.z, rtol=0, atol=CLOSE):
            shown = ", ".join(f"{key}={key}" for key in known)
            call = f"latents(1, 17, {shown})"
            return Recipe(name, _source(latents), call, known, bounds)
    raise UserError(
        f"{run.workdir}: config.objective.name is {run.config.objective.name!r}, whose prior has no recipe in "
        f"logogan_jax/export/recipes.py: add one there, or the file could not say which latents a picture has"
    )


def _candidates(run: RestoredRun, size: int) -> list[tuple[str, Callable[..., jax.Array], dict[str, Any]]]:
    """Return (name, latents, its further arguments) of the priors that there are."""
    found: list[tuple[str, Callable[..., jax.Array], dict[str, Any]]] = [
        ("normal", normal, {"size": size}),
        ("uniform on [-1, 1)", uniform, {"size": size, "low": -1.0}),
        ("uniform on [0, 1)", uniform, {"size": size, "low": 0.0}),
    ]
    codes = run.state.ema["params"].get("codes")
    if codes is not None:
        mean, factor = jax.device_get(fit_gaussian(codes["table"]))
        found.append(("normal, fitted to codes", gaussian, {"mean": mean.tolist(), "factor": factor.tolist()}))
    return found


def _source(latents: Callable[..., jax.Array]) -> str:
    named = inspect.getsource(latents).replace(f"def {latents.__name__}(", "def latents(", 1)
    return f"import jax\nimport jax.numpy as jnp\n\n\n{named}\n\n{inspect.getsource(label)}"
