"""The arithmetic of a program: two floating-point operations for every multiply-add of a product or a convolution.

Counted in the jaxpr, before any compiler has seen it, so that a figure belongs to the model and not to the form in
which a backend computes it: the three maps of conv.py count by their names, as the convolution that they are. What
nobody uses is left out, as every compiler leaves it out: the gradient of a critic's first layer in its images, say.
"""

import math

import jax

# The operand whose positions are visited, by the name of the map; -1 is the result.
MAPS = {"conv": -1, "conv_transpose": 0, "filter_grad": 1}
CALLS = ("jit", "pjit")  # how JAX calls a named function in a jaxpr


def of(function, *args):
    """Floating-point operations of function(*args), arrays or their jax.ShapeDtypeStruct; nothing is computed.

    Of the branches of a condition the largest counts. What a shard_map computes counts on every device. A ValueError
    names products in a loop whose length no jaxpr tells.
    """
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    return _count(jaxpr, [True] * len(jaxpr.outvars))[0]


def _count(jaxpr, wanted):
    """(operations that the wanted results need, which inputs they need) of a jaxpr, from its end to its beginning."""
    needed = {var for var, use in zip(jaxpr.outvars, wanted, strict=True) if use and _is_var(var)}
    total = 0
    for eqn in reversed(jaxpr.eqns):
        used = [var in needed for var in eqn.outvars]
        if not any(used) and not eqn.effects:
            continue
        count, reads = _equation(eqn, used)
        total += count
        needed |= {var for var, read in zip(eqn.invars, reads, strict=True) if read and _is_var(var)}
    return total, [var in needed for var in jaxpr.invars]


def _equation(eqn, used):
    """(operations, which inputs are read) of one equation of whose results some are used."""
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


def _scan(eqn, used):
    """A scan: what its last turn needs of the carry, the turns before it must make."""
    body = _open(eqn.params["jaxpr"])
    rank = lambda var: len(var.aval.shape)
    # Constants, carry and slices, in this order: a slice has an axis less inside. JAX 0.10 and 0.12 say it differently.
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
        used[:carries] = more


def _condition(eqn, used):
    counts, reads = zip(*(_count(_open(branch), used) for branch in eqn.params["branches"]), strict=True)
    return max(counts), [True, *(any(read) for read in zip(*reads, strict=True))]


def _map(eqn):
    """One of conv.py's maps: every filter tap at every position of the image that the convolution gives."""
    place = MAPS[eqn.params["name"]]
    image = eqn.outvars[0] if place == -1 else eqn.invars[place]
    filters = eqn.outvars[0] if eqn.params["name"] == "filter_grad" else eqn.invars[1]
    assert len(image.aval.shape) == len(filters.aval.shape) == 4, eqn  # vmap would add an axis
    return 2 * image.aval.size * math.prod(filters.aval.shape[:3])


def _product(eqn):
    (contracted, _), _ = eqn.params["dimension_numbers"]
    shape = eqn.invars[0].aval.shape
    return 2 * eqn.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)


def _convolution(eqn):
    filters = eqn.invars[1].aval
    values = eqn.params
    taps = filters.size // filters.shape[values["dimension_numbers"].rhs_spec[0]]
    # Between dilated images lie zeros, with which no model multiplies.
    return 2 * eqn.outvars[0].aval.size * taps // math.prod(values["lhs_dilation"])


COUNTED = {"dot_general": _product, "conv_general_dilated": _convolution}


def _open(jaxpr):
    return getattr(jaxpr, "jaxpr", jaxpr)


def _is_jaxpr(value):
    return hasattr(value, "eqns")


def _is_var(value):
    return not hasattr(value, "val")  # a literal has one
