"""Floating-point operations of the matrix products and convolutions of an HLO program: two for every multiply-add."""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from logogan_jax.plan.hlo import Array, Instruction

_LABELS = re.compile(r"dim_labels=(\w+)_(\w+)->(\w+)")


def total(products: list[tuple[int, str]]) -> dict[str, Any]:
    """Return the fields of a Kernel for its products: the sum of the operations, the dtype of the largest."""
    return {"flops": sum(flops for flops, _ in products), "dtype": max(products, default=(0, "f32"))[1]}


def count(instruction: Instruction, known: Mapping[str, Instruction]) -> tuple[int, str]:
    """Return (floating-point operations, dtype of the operands) of a product or a convolution; (0, "f32") of others."""
    operands = [known[name].arrays[0] for name in instruction.operands if name in known and known[name].arrays]
    labels = _LABELS.search(instruction.attributes)
    if len(operands) < 2:
        return 0, "f32"
    if labels and instruction.opcode in ("convolution", "custom-call"):
        return _convolution_flops(instruction, operands, labels), operands[0].dtype
    contracted = re.search(r'lhs_contracting_dim(?:s=\{|ensions":\[)([^}\]]*)', instruction.attributes)
    if contracted and instruction.opcode in ("dot", "custom-call"):
        sides = [int(side.strip('" ')) for side in contracted.group(1).split(",") if side.strip('" ')]
        depth = math.prod(operands[0].shape[side] for side in sides)
        return 2 * math.prod(instruction.arrays[0].shape) * depth, operands[0].dtype
    return 0, "f32"


def _convolution_flops(instruction: Instruction, operands: list[Array], labels: re.Match[str]) -> int:
    """Return 2 |filter| |output| / (output channels), in the sense of the convolution whose labels these are."""
    result = instruction.arrays[0]
    kernel, output = operands[1], result
    if "BackwardInput" in instruction.attributes:
        output = operands[0]
    elif "BackwardFilter" in instruction.attributes:
        kernel, output = result, operands[1]
    channels = kernel.shape[labels.group(2).index("o")]
    flops = 2 * math.prod(kernel.shape) * math.prod(output.shape) // channels
    return flops if instruction.opcode == "custom-call" else int(flops * _share_of_numbers(operands, result, labels))


def _share_of_numbers(operands: list[Array], result: Array, labels: re.Match[str]) -> Fraction:
    """Return the share of a filter's products with numbers of the image. The others are with zeros around or in it.

    XLA writes a product with a 1 x 1 filter as one with a padded image of 1 x 1, and a transposed convolution as one of
    an image with zeros in between.
    """
    share = Fraction(1)
    for dimension in filter(str.isdigit, labels.group(1)):
        image, taps, places = (
            array.shape[label.index(dimension)]
            for array, label in zip((*operands[:2], result), labels.groups(), strict=True)
        )
        share *= Fraction(min(taps * places, image * taps, image * places), taps * places)
    return share
