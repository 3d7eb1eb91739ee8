"""A graph of ONNX operators while it is made, without ONNX's own package: nodes, weights and the number of pictures n.

Shapes are those of JAX: numbers, and for the axis of the pictures the symbolic n of jax.export.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from logogan_jax.core.errors import UserError


class Node(NamedTuple):
    """One operator.

    Attributes:
        operator: its name in ONNX.
        inputs: names of values.
        outputs: names of values.
        attributes: numbers, lists of numbers, texts, or a np.dtype.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Graph:
    """Nodes in an order in which they can be computed, and the arrays that they use, by name."""

    def __init__(self, n_of: str):
        """Begin a graph, in which n is the length of an input."""
        self.nodes: list[Node] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[tuple, str] = {}
        self._n = self.add("Shape", n_of, start=0, end=1)

    def add(self, operator: str, *inputs: str, outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        """Add an operator and return the name of its output, or a list of names if there are several."""
        name = name or f"v{len(self.nodes)}"
        names = [f"{name}.{i}" if i else name for i in range(outputs)]
        self.nodes.append(Node(operator, inputs, tuple(names), attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return the name of an array, one for all that are equal."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"c{len(self._known)}"
            self.arrays[self._known[key]] = array
        return self._known[key]

    def numbers(self, values: Sequence[int]) -> str:
        """Return the name of an array of int64, as operators take sizes, places and axes."""
        return self.constant(list(values), np.int64)

    def reshape(self, name: str, shape: Sequence[Any]) -> str:
        """Reshape a value."""
        sides = [side if is_number(side) else -1 for side in shape]
        assert sides.count(-1) <= 1, shape
        return self.add("Reshape", name, self.numbers(sides))

    def expand(self, name: str, before: Sequence[Any], shape: Sequence[Any]) -> str:
        """Repeat a value of a shape `before` along its sides of length 1."""
        wanted = [1 if same(one, side) else side for one, side in zip(before, shape, strict=True)]  # 1 keeps a side
        if all(is_number(side) for side in wanted):
            return name if set(wanted) <= {1} else self.add("Expand", name, self.numbers(wanted))
        parts = [self.numbers([side]) if is_number(side) else self._n for side in wanted]
        return self.add("Expand", name, self.add("Concat", *parts, axis=0))

    def transpose(self, name: str, order: Sequence[int]) -> str:
        """Put the sides of a value into another order."""
        return name if list(order) == sorted(order) else self.add("Transpose", name, perm=list(order))

    def slice(self, name: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], step: int = 1) -> str:
        """Cut a value along some axes."""
        parts = [self.numbers(values) for values in (starts, ends, axes, [step] * len(axes))]
        return self.add("Slice", name, *parts)

    def cut(self, name: str, shape: Sequence[Any], paddings: Sequence[tuple[int, int]]) -> str:
        """Cut off what negative paddings (low, high) of the axes take away."""
        for axis, (low, high) in enumerate(paddings):
            if low < 0 or high < 0:
                name = self.slice(name, [max(-low, 0)], [shape[axis] + min(high, 0)], [axis])
        return name

    def keep_what_makes(self, output: str) -> None:
        """Leave out the nodes and arrays that an output does not need."""
        needed = {output}
        kept = []
        for node in reversed(self.nodes):
            if needed & {*node.outputs}:
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        self.arrays = {name: array for name, array in self.arrays.items() if name in needed}


def is_number(side: Any) -> bool:
    """Return whether a side of a shape is a number, and not n."""
    return isinstance(side, (int, np.integer))


def same(one: Any, other: Any) -> bool:
    """Return whether two sides of shapes are equal."""
    return is_number(one) == is_number(other) and bool(one == other)


def refusal(what: str) -> UserError:
    """Return the error of a program that uses something that is not translated."""
    return UserError(
        f"--format=onnx: the generator uses JAX's {what}, which logogan_jax/export/onnx_primitives.py does not "
        f"translate: add it there, or use --format=stablehlo"
    )
