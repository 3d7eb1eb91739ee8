"""Products of matrices and convolutions as operators of ONNX.

Conv takes images NCHW and filters OIHW. Transposed convolutions arrive as plain ones, in the form that
networks/conv.py has for ONNX.
"""

import string
from typing import Any

import numpy as np

from logogan_jax.export.onnx_graph import Graph, refusal


def product(graph: Graph, equation: Any, x: str, y: str) -> str:
    """Translate dot_general."""
    (summed_x, summed_y), (batch_x, batch_y) = equation.params["dimension_numbers"]
    ranks = [len(var.aval.shape) for var in equation.invars]
    if not batch_x and ranks[1] == 2 and tuple(summed_x) == (ranks[0] - 1,) and tuple(summed_y) == (0,):
        return graph.add("MatMul", x, y)
    letters = iter(string.ascii_lowercase)
    of_x = [next(letters) for _ in range(ranks[0])]
    shared = dict(zip((*summed_y, *batch_y), (of_x[axis] for axis in (*summed_x, *batch_x)), strict=True))
    of_y = [shared.get(axis) or next(letters) for axis in range(ranks[1])]
    out = [of_x[axis] for axis in batch_x]
    out += [letter for axis, letter in enumerate(of_x) if axis not in (*summed_x, *batch_x)]
    out += [letter for axis, letter in enumerate(of_y) if axis not in (*summed_y, *batch_y)]
    return graph.add("Einsum", x, y, equation=f"{''.join(of_x)},{''.join(of_y)}->{''.join(out)}")


def convolution(graph: Graph, equation: Any, x: str, w: str) -> str:
    """Translate conv_general_dilated."""
    params = equation.params
    if max(params["lhs_dilation"]) > 1 or params["batch_group_count"] > 1:
        raise refusal("'conv_general_dilated' with zeros between pixels or groups of the batch")
    layout = params["dimension_numbers"]
    image, filter_ = (var.aval.shape for var in equation.invars)
    shape = [image[axis] for axis in layout.lhs_spec]
    x = graph.cut(graph.transpose(x, layout.lhs_spec), shape, [(0, 0), (0, 0), *params["padding"]])
    lows, highs = ([max(amount, 0) for amount in amounts] for amounts in zip(*params["padding"], strict=True))
    y = graph.add(
        "Conv", x, graph.transpose(w, layout.rhs_spec), kernel_shape=[filter_[axis] for axis in layout.rhs_spec[2:]],
        strides=list(params["window_strides"]), dilations=list(params["rhs_dilation"]), pads=lows + highs,
        group=params["feature_group_count"],
    )  # fmt: skip
    return graph.transpose(y, np.argsort(layout.out_spec).tolist())
