"""The weights of another run as the start of a new one: what fits is taken, and the rest is new.

Each network starts from the same network of the other run, and each average from the other average, as in the code of
StyleGAN2-ADA (Karras et al. 2020, arXiv 2006.06676) and of FreezeD (Mo et al. 2020, arXiv 2002.10964). Batch statistics
come with the weights. Optimizers, the step and the learning rates begin as in any new run. An archive holds averages
alone, so the generator itself starts from its average, too.

The new average follows its generator at once: update_ema in train_state.py makes its half-life short at first.
"""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.networks import spectral_norm
from logogan_jax.training import train_state
from logogan_jax.training.train_state import TrainState, flatten_with_names

# Networks that stand inside another one, which augments images or draws marks: their weights are the same without it.
_WRAPPED = {"critic": "critic", "generator": "trunk"}
_VECTOR = "singular_vector"  # the end of the name of a kernel's power iteration


class Weights(NamedTuple):
    """Arrays of another run, by names such as "params/generator/out/kernel", without the wrappers of networks.

    `averaged` are those of the averaged networks.
    """

    current: Mapping[str, np.ndarray]
    averaged: Mapping[str, np.ndarray]


class Fit(NamedTuple):
    """What a new state takes of other weights.

    Attributes:
        arrays: what is taken, by the name in the state: "params/...", "model_state/..." or "ema/...".
        taken: names of parameters and statistics that are taken, without those of averages.
        new: names of those that are not, each with the reason.
        unused: names of the other run's arrays that have no place.
    """

    arrays: dict[str, np.ndarray]
    taken: list[str]
    new: dict[str, str]
    unused: list[str]


def plain_name(name: str) -> str:
    """Return the name of an array without wrappers: "params/critic/critic/out/bias" -> "params/critic/out/bias"."""
    section, role, *rest = name.split("/")
    if rest[0] == _WRAPPED.get(role):
        rest = rest[1:]
    return "/".join([section, role, *rest])


def weights_of(params: Any, model_state: Any) -> dict[str, np.ndarray]:
    """Return the arrays of networks by their plain names."""
    named = flatten_with_names({"params": params, "model_state": model_state})
    return {plain_name(name): np.asarray(value) for name, value in named.items()}


def fit(state: TrainState, weights: Weights, skipped: Mapping[str, str]) -> Fit:
    """Find which arrays of other weights a state of step 0 can take: those of the same name and shape.

    `skipped` maps names of arrays that are not taken, though they fit, to the reason.
    """
    result = Fit({}, [], {}, [])
    named = flatten_with_names({"params": state.params, "model_state": state.model_state, "ema": state.ema})
    for name, value in named.items():
        average = name.startswith("ema/")
        inside = name.removeprefix("ema/")
        plain = plain_name(inside)
        # An archive has averages alone: where one of the two is missing, the other stands in for it.
        first, second = (weights.averaged, weights.current) if average else (weights.current, weights.averaged)
        other = first.get(plain, second.get(plain))
        reason = skipped.get(inside, "") or _misfit(other, value)
        if not reason:
            result.arrays[name] = np.array(other)
        # A parameter and its average have one name in what the run prints, so only the parameter is listed.
        if not average and reason:
            result.new[name] = reason
        elif not average:
            result.taken.append(name)
    _set_singular_vectors(named, result)
    places = {plain_name(name) for name in named if not name.startswith("ema/")}
    result.unused.extend(sorted({*weights.current, *weights.averaged} - places))
    return result


def _misfit(other: np.ndarray | None, value: Any) -> str:
    if other is None:
        return "not there"
    return "" if other.shape == value.shape else f"{list(other.shape)} there, {list(value.shape)} here"


def _set_singular_vectors(named: Mapping[str, Any], result: Fit) -> None:
    """Let each kernel have its own vector of spectral normalisation.

    A training step makes one power iteration, so the vector of another kernel would make a critic too steep at first.
    """
    for name, value in named.items():
        if not name.endswith(_VECTOR):
            continue
        kernel = _kernel_name(name)
        if kernel not in result.arrays and name in result.arrays:
            del result.arrays[name]
            result.taken.remove(name)
            result.new[name] = "its kernel is new"
        elif kernel in result.arrays and name not in result.arrays:
            # Many iterations at once, because each training step makes but one.
            result.arrays[name] = np.asarray(
                spectral_norm.estimate_vector(jnp.asarray(result.arrays[kernel]), jnp.asarray(value))
            )


def _kernel_name(vector: str) -> str:
    """Return the name of the kernel, or of the table of labels, that a vector belongs to."""
    folder, _, last = vector.replace("model_state/", "params/", 1).rpartition("/")
    return f"{folder}/{last.removesuffix(_VECTOR).rstrip('_') or 'kernel'}"


def holds_a_kernel(result: Fit) -> bool:
    """Return whether any of what is taken is more than a bias: these fit by chance."""
    # Biases and scales of the same length are in most networks of the same width.
    return any(result.arrays[name].ndim > 1 for name in result.taken)


def write(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays by name to a file, whole or not at all. Returns their digest."""
    with files.atomic_write(path) as partial, open(partial, "wb") as file:
        # Arrays alone: reading a pickle may run a program.
        np.savez(file, allow_pickle=False, **arrays)
    return train_state.digest(arrays)


def read(path: pathlib.Path, expected: str) -> dict[str, np.ndarray]:
    """Read the arrays of a file; UserError if they are not those of the expected digest."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        arrays = {}
        reason = (str(error).splitlines() or [repr(error)])[0]
    else:
        reason = "its numbers are not those that were written"
    # Nothing that could be read is no better than wrong numbers: both end here.
    if train_state.digest(arrays) != expected:
        raise UserError(
            f"{path}, from which the run starts, cannot be read ({reason}): bring back a copy of it, or start another "
            f"--workdir by --init_from"
        )
    return arrays


def with_arrays(state: TrainState, arrays: Mapping[str, np.ndarray]) -> TrainState:
    """Return a state of step 0 with arrays in the place of its own, by their names."""
    # Not the optimizers: their moments belong to gradients of other data.
    changed = {"params": state.params, "model_state": state.model_state, "ema": state.ema}
    take = lambda path, value: arrays.get(jax.tree_util.keystr(path, simple=True, separator="/"), value)
    return state._replace(**jax.tree_util.tree_map_with_path(take, changed))


def listed(names: Iterable[str], most: int = 4) -> str:
    """Return the first names and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
