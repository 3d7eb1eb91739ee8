"""The primitives of JAX as operators of ONNX: TABLE[name](graph, equation, names of inputs) -> name of the output."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from logogan_jax.export import onnx_products
from logogan_jax.export.onnx_graph import Graph, is_number, refusal, same

Translation = Callable[..., Any]  # (graph, equation, *names) -> name, or a list of names

_SAME_NAME = {
    "abs": "Abs", "add": "Add", "ceil": "Ceil", "copy": "Identity", "cos": "Cos", "div": "Div", "eq": "Equal",
    "erf": "Erf", "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual",
    "log": "Log", "logistic": "Sigmoid", "lt": "Less", "max": "Max", "min": "Min", "mul": "Mul", "neg": "Neg",
    "pow": "Pow", "sign": "Sign", "sin": "Sin", "sqrt": "Sqrt", "sub": "Sub", "tanh": "Tanh",
}  # fmt: skip
_OF_BOOLEANS = {"and": "And", "or": "Or", "xor": "Xor", "not": "Not"}
_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


def _operator(operator: str) -> Translation:
    return lambda graph, equation, *names: graph.add(operator, *names)


def _of_booleans(operator: str) -> Translation:
    def translate(graph: Graph, equation: Any, *names: str) -> str:
        if _dtype(equation) != np.bool_:
            raise refusal(f"{equation.primitive.name!r} of integers")
        return graph.add(operator, *names)

    return translate


def _reduction(operator: str) -> Translation:
    return lambda graph, equation, x: graph.add(operator, x, graph.numbers(equation.params["axes"]), keepdims=0)


def _shape(equation: Any) -> tuple:
    return equation.outvars[0].aval.shape


def _dtype(equation: Any) -> np.dtype:
    return np.dtype(equation.outvars[0].aval.dtype)


def _not_equal(graph: Graph, equation: Any, x: str, y: str) -> str:
    return graph.add("Not", graph.add("Equal", x, y))


def _rsqrt(graph: Graph, equation: Any, x: str) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", x))


def _erfc(graph: Graph, equation: Any, x: str) -> str:
    return graph.add("Sub", graph.constant(1, _dtype(equation)), graph.add("Erf", x))


def _square(graph: Graph, equation: Any, x: str) -> str:
    return graph.add("Mul", x, x)


def _integer_pow(graph: Graph, equation: Any, x: str) -> str:
    return graph.add("Pow", x, graph.constant(equation.params["y"], _dtype(equation)))


def _round(graph: Graph, equation: Any, x: str) -> str:
    if equation.params["rounding_method"] != jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        raise refusal("'round' away from zero")
    return graph.add("Round", x)


def _select_n(graph: Graph, equation: Any, which: str, *cases: str) -> str:
    if equation.invars[0].aval.dtype != np.bool_ or len(cases) != 2:
        raise refusal("'select_n' of more than two cases")
    return graph.add("Where", which, cases[1], cases[0])


def _clamp(graph: Graph, equation: Any, low: str, x: str, high: str) -> str:
    return graph.add("Min", graph.add("Max", x, low), high)


def _convert(graph: Graph, equation: Any, x: str) -> str:
    if equation.invars[0].aval.dtype == _dtype(equation):
        return x
    return graph.add("Cast", x, to=_dtype(equation))


def _broadcast(graph: Graph, equation: Any, x: str) -> str:
    shape = _shape(equation)
    before = equation.invars[0].aval.shape
    sides = dict(zip(equation.params["broadcast_dimensions"], before, strict=True))
    aligned = [sides.get(axis, 1) for axis in range(len(shape))]
    if len(aligned) != len(before):
        x = graph.reshape(x, aligned)
    return graph.expand(x, aligned, shape)


def _reshape(graph: Graph, equation: Any, x: str) -> str:
    return graph.reshape(x, _shape(equation))


def _transpose(graph: Graph, equation: Any, x: str) -> str:
    return graph.transpose(x, equation.params["permutation"])


def _reverse(graph: Graph, equation: Any, x: str) -> str:
    axes = equation.params["dimensions"]
    first = np.iinfo(np.int64).min  # beyond the first, which ends a slice that goes backwards
    return graph.slice(x, [-1] * len(axes), [first] * len(axes), axes, -1)


def _slice(graph: Graph, equation: Any, x: str) -> str:
    starts = equation.params["start_indices"]
    ends = equation.params["limit_indices"]
    steps = equation.params["strides"] or [1] * len(starts)
    for axis, side in enumerate(equation.invars[0].aval.shape):
        if not (starts[axis] == 0 and same(ends[axis], side) and steps[axis] == 1):
            x = graph.slice(x, [starts[axis]], [ends[axis]], [axis], steps[axis])
    return x


def _pad(graph: Graph, equation: Any, x: str, value: str) -> str:
    lows, highs, between = zip(*equation.params["padding_config"], strict=True)
    if any(between):
        raise refusal("'pad' with zeros between the elements")
    x = graph.cut(x, equation.invars[0].aval.shape, [*zip(lows, highs, strict=True)])
    amounts = [max(amount, 0) for amount in (*lows, *highs)]
    return graph.add("Pad", x, graph.numbers(amounts), value) if any(amounts) else x


def _concatenate(graph: Graph, equation: Any, *parts: str) -> str:
    return graph.add("Concat", *parts, axis=equation.params["dimension"])


def _stack(graph: Graph, equation: Any, *parts: str) -> str:
    axis = equation.params["axis"]
    shape = list(_shape(equation))
    shape[axis] = 1
    return graph.add("Concat", *(graph.reshape(part, shape) for part in parts), axis=axis)


def _split(graph: Graph, equation: Any, x: str) -> list[str]:
    sizes = equation.params["sizes"]
    names = graph.add("Split", x, graph.numbers(sizes), outputs=len(sizes), axis=equation.params["axis"])
    return names if len(sizes) > 1 else [names]


def _iota(graph: Graph, equation: Any) -> str:
    shape = _shape(equation)
    axis = equation.params["dimension"]
    if not is_number(shape[axis]):
        raise refusal("'iota' along the pictures")
    line = [shape[axis] if i == axis else 1 for i in range(len(shape))]
    name = graph.constant(np.arange(shape[axis]).reshape(line), _dtype(equation))
    return graph.expand(name, line, shape)


def _gather(graph: Graph, equation: Any, x: str, index: str) -> str:
    """Translate a window at one place, and elements or rows at many: the forms that NumPy's indexing takes."""
    numbers = equation.params["dimension_numbers"]
    operand, places = (var.aval.shape for var in equation.invars)
    sizes = equation.params["slice_sizes"]
    mapped = list(numbers.start_index_map)
    index = graph.add("Cast", index, to=np.dtype(np.int64))
    if len(places) == 1:
        ends = graph.add("Add", index, graph.numbers([sizes[axis] for axis in mapped]))
        return graph.reshape(graph.add("Slice", x, index, ends, graph.numbers(mapped)), _shape(equation))
    others = [axis for axis in range(len(operand)) if axis not in mapped]
    whole = all(same(sizes[axis], operand[axis]) for axis in others)
    if numbers.operand_batching_dims or {*numbers.collapsed_slice_dims} != {*mapped} or not whole:
        raise refusal("'gather' of windows at many places")
    found = graph.add("GatherND", graph.transpose(x, mapped + others), index)  # the places first, then the others
    batch = iter(range(len(places) - 1))
    behind = iter(range(len(places) - 1, len(_shape(equation))))
    order = [next(behind if axis in numbers.offset_dims else batch) for axis in range(len(_shape(equation)))]
    return graph.transpose(found, order)


TABLE: dict[str, Translation] = {
    **{name: _operator(operator) for name, operator in _SAME_NAME.items()},
    **{name: _of_booleans(operator) for name, operator in _OF_BOOLEANS.items()},
    **{name: _reduction(operator) for name, operator in _REDUCTIONS.items()},
    "broadcast_in_dim": _broadcast, "clamp": _clamp, "concatenate": _concatenate,
    "conv_general_dilated": onnx_products.convolution, "convert_element_type": _convert,
    "dot_general": onnx_products.product,
    "erfc": _erfc, "gather": _gather, "integer_pow": _integer_pow, "iota": _iota,
    "ne": _not_equal, "pad": _pad, "reshape": _reshape, "rev": _reverse, "round": _round, "rsqrt": _rsqrt,
    "select_n": _select_n, "slice": _slice, "split": _split, "square": _square, "squeeze": _reshape, "stack": _stack,
    "transpose": _transpose,
}  # fmt: skip
