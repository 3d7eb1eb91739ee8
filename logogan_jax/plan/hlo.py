"""The text of an optimised HLO program, read into computations of instructions.

`compiled.as_text()` is the only form in which every backend gives the program that it will run.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = r"%?([\w.\-]+)"
_COMPUTATION = re.compile(rf"^(ENTRY )?{_NAME} .*\{{$")
_INSTRUCTION = re.compile(rf"^\s+(?:ROOT )?{_NAME} = ")
_ARRAY = re.compile(r"([a-z]+\d*[a-z0-9]*)\[([\d,]*)\](\{[^}]*\})?")
_BITS = re.compile(r"^[a-z]+?(\d+)")
# Of arrays in the memory of a TPU's chip itself the layout has a space S(1) or higher.
MAIN_MEMORY = 0
SCALAR_MEMORY = 6
_COMMENT = re.compile(r"/\*.*?\*/")  # XLA numbers every fifth operand of a long list: /*index=5*/%name


class Array(NamedTuple):
    """Type of an array: the name of its dtype as HLO has it, its sides, and the number of the memory it lies in."""

    dtype: str
    shape: tuple[int, ...]
    space: int

    @property
    def whole_nbytes(self) -> int:
        """Bytes of its elements, wherever it lies."""
        return math.prod(self.shape) * bits(self.dtype) // 8

    @property
    def nbytes(self) -> int:
        """Bytes of its elements in the main memory: 0 where it lies in a scratchpad of the chip."""
        return self.whole_nbytes if self.space == MAIN_MEMORY else 0


class Instruction(NamedTuple):
    """An instruction: its name, the arrays of its result, its operation, the names of its operands, and the rest."""

    name: str
    arrays: list[Array]
    opcode: str
    operands: list[str]
    attributes: str

    @property
    def whole_nbytes(self) -> int:
        """Bytes of the result, wherever it lies."""
        return sum(array.whole_nbytes for array in self.arrays)

    @property
    def nbytes(self) -> int:
        """Bytes of the result in the main memory."""
        return sum(array.nbytes for array in self.arrays)

    def called(self, attribute: str) -> str:
        """Return the name of the computation that an attribute such as "calls" names, or ""."""
        found = re.search(rf"\b{attribute}={_NAME}", self.attributes)
        return found.group(1) if found else ""

    def branches(self) -> list[str]:
        """Return the names of the computations of a condition."""
        found = re.search(r"branch_computations=\{([^}]*)\}", self.attributes)
        names = found.group(1).split(",") if found else []
        both = [self.called("true_computation"), self.called("false_computation")]
        return [name.strip().lstrip("%") for name in (names or both) if name]


class Program(NamedTuple):
    """{name: {name: Instruction}} of the computations, and the name of the first."""

    computations: dict[str, dict[str, Instruction]]
    entry: str


def bits(dtype: str) -> int:
    """Return the bits of an element: 16 of "bf16", 8 of "pred" and "f8e4m3fn", 0 of "token"."""
    found = _BITS.match(dtype)
    return int(found.group(1)) if found else {"pred": 8}.get(dtype, 0)


def parse(text: str) -> Program:
    """Read the text of a module."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry = ""
    current: dict[str, Instruction] = {}
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            current = computations.setdefault(header.group(2), {})
            entry = header.group(2) if header.group(1) else entry
        elif found := _INSTRUCTION.match(line):
            current[found.group(1)] = _instruction(found.group(1), line[found.end() :])
    return Program(computations, entry)


def _instruction(name: str, rest: str) -> Instruction:
    """Read what follows the equals sign: the type, the operation with its operands, the attributes."""
    rest = _COMMENT.sub("", rest)
    type_end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    opening = rest.index("(", type_end)
    closing = _closing(rest, opening)
    operands = [part.split()[-1].lstrip("%") for part in _split(rest[opening + 1 : closing]) if part.strip()]
    arrays = [_array(found) for found in _ARRAY.finditer(rest[:type_end])]
    return Instruction(name, arrays, rest[type_end:opening].strip(), operands, rest[closing + 1 :])


def _array(found: re.Match[str]) -> Array:
    dtype, sides, layout = found.groups()
    space = re.search(r"S\((\d+)\)", layout or "")
    shape = tuple(int(side) for side in sides.split(",") if side)
    return Array(dtype, shape, int(space.group(1)) if space else MAIN_MEMORY)


def _closing(text: str, opening: int) -> int:
    """Return the place of the parenthesis that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise ValueError(f"a parenthesis is not closed in {text[opening : opening + 80]!r}")


def _split(text: str) -> Iterator[str]:
    """Yield the parts of a list between the commas that are in no bracket."""
    depth = 0
    start = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
        if letter == "," and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]
