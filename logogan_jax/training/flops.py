"""The floating-point operations of a program: two for every multiply-add of a matrix product or a convolution.

They are counted in the jaxpr, before any compiler has seen it. So a figure belongs to the model, not to the form in
which a backend computes it: the three maps of conv.py count by their names, as the convolution that they are. Results
that nobody uses count nothing, because every compiler drops them: the gradient of a critic's first layer with respect
to its images, for example.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

# The operand at whose positions the filter is applied, by the name of the map; -1 is the result.
MAPS = {"conv": -1, "conv_transpose": 0, "filter_grad": 1}
CALLS = ("jit", "pjit")  # how JAX calls a named function in a jaxpr


def count_flops(function: Callable[..., Any], *args: Any) -> int:
    """Count the floating-point operations of function(*args), whose args are arrays or jax.ShapeDtypeStruct.

    Nothing is computed. Of the branches of a condition the largest counts. The body of a shard_map counts once for
    each device. Raises ValueError for products in a loop whose length the jaxpr does not say.
    """
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    return _count(jaxpr, [True] * len(jaxpr.outvars))[0]


def _count(jaxpr: Any, wanted: Sequence[bool]) -> tuple[int, list[bool]]:
    """Return (operations that the wanted results need, which inputs they need) of a jaxpr.

    It is read from its end to its beginning, as dead code is found.
    """
    needed = {var for var, use in zip(jaxpr.outvars, wanted, strict=True) if use and _is_var(var)}
    total = 0
    for eqn in reversed(jaxpr.eqns):
        used = [var in needed for var in eqn.outvars]
        # What has an effect, such as a print, runs although nobody uses its result.
        if not any(used) and not eqn.effects:
            continue
        count, reads = _equation(eqn, used)
        total += count
        needed |= {var for var, read in zip(eqn.invars, reads, strict=True) if read and _is_var(var)}
    return total, [var in needed for var in jaxpr.invars]


def _equation(eqn: Any, used: list[bool]) -> tuple[int, list[bool]]:
    """Return (operations, which inputs are read) of an equation of whose results some are used."""
    kind = eqn.primitive.name
    everything = [True] * len(eqn.invars)
    if kind in COUNTED:
        return COUNTED[kind](eqn), everything
    if kind in CALLS and eqn.params["name"] in MAPS:
        return _map(eqn), everything
    if kind == "scan":
        return _scan(eqn, used)
    if kind == "cond":
        return _condition(eqn, used)
    inner = [_open(value) for value in jax.tree.leaves(eqn.params, is_leaf=_is_jaxpr) if _is_jaxpr(value)]
    if len(inner) == 1 and len(inner[0].invars) == len(eqn.invars) and len(inner[0].outvars) == len(used):
        # Calls of every sort: jit, remat, functions with derivatives of their own, shard_map.
        count, reads = _count(inner[0], used)
        # Inside a shard_map, shapes are those of one device.
        return count * (eqn.params["mesh"].size if kind == "shard_map" else 1), reads
    if any(_count(one, [True] * len(one.outvars))[0] for one in inner):
        raise ValueError(f"how often {kind} runs its products cannot be counted: write it as a scan")
    return 0, everything


def _scan(eqn: Any, used: list[bool]) -> tuple[int, list[bool]]:
    """Count a scan. The part of the carry that its last iteration reads, the iterations before it must compute."""
    body = _open(eqn.params["jaxpr"])
    rank = lambda var: len(var.aval.shape)
    # The inputs are constants, carry and slices, in this order; a slice has an axis less inside. The parameters that
    # say how many there are of each differ between JAX 0.10 and 0.12, so they are told by their ranks.
    carries = sum(rank(outer) == rank(inner) for outer, inner in zip(eqn.outvars, body.outvars, strict=True))
    slices = sum(rank(outer) != rank(inner) for outer, inner in zip(eqn.invars, body.invars, strict=True))
    constants = len(eqn.invars) - slices - carries
    used = list(used)
    while True:
        count, reads = _count(body, used)
        carry = reads[constants : constants + carries]
        more = [a or b for a, b in zip(used[:carries], carry, strict=True)]
        if more == used[:carries]:
            return count * eqn.params["length"], reads
        # This ends: more and more of the carry is needed, and never less.
        used[:carries] = more


def _condition(eqn: Any, used: list[bool]) -> tuple[int, list[bool]]:
    counts, reads = zip(*(_count(_open(branch), used) for branch in eqn.params["branches"]), strict=True)
    # The first input chooses the branch, and is always read.
    return max(counts), [True, *(any(read) for read in zip(*reads, strict=True))]


def _map(eqn: Any) -> int:
    """Count one of conv.py's maps: every filter tap at every position of the convolution's result."""
    place = MAPS[eqn.params["name"]]
    image = eqn.outvars[0] if place == -1 else eqn.invars[place]
    filters = eqn.outvars[0] if eqn.params["name"] == "filter_grad" else eqn.invars[1]
    # The images of several batches may have an axis more, by vmap. They have the filter in common.
    assert len(image.aval.shape) >= len(filters.aval.shape) == 4, eqn
    return 2 * image.aval.size * math.prod(filters.aval.shape[:3])


def _product(eqn: Any) -> int:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    shape = eqn.invars[0].aval.shape
    return 2 * eqn.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)


def _convolution(eqn: Any) -> int:
    filters = eqn.invars[1].aval
    values = eqn.params
    # A grouped filter has the inputs of one group in its shape, so this holds for groups, too.
    taps = filters.size // filters.shape[values["dimension_numbers"].rhs_spec[0]]
    # A dilated image has zeros between its pixels, and products with them belong to no model.
    return 2 * eqn.outvars[0].aval.size * taps // math.prod(values["lhs_dilation"])


COUNTED = {"dot_general": _product, "conv_general_dilated": _convolution}


def _open(jaxpr: Any) -> Any:
    return getattr(jaxpr, "jaxpr", jaxpr)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns")


def _is_var(value: Any) -> bool:
    return not hasattr(value, "val")  # a literal has one
