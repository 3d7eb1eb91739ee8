"""Addresses of pictures: picture 17 of seed 1 is 1:17, whatever else is drawn with it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from logogan_jax.core.errors import UserError

MAX_SEED = 2**32 - 1
MAX_NUMBER = 2**31 - 1
MAX_PICTURES = 100_000  # whose names have five digits
# With at most twelve digits: a longer number is wrong before anything computes with it.
_ADDRESS = re.compile(r"(?:(?P<seed>\d{1,12}):)?(?P<first>\d{1,12})(?:-(?P<last>\d{1,12}))?")


class Address(NamedTuple):
    """A picture of a run at a step: picture `number` of a `seed`, both counted from 0."""

    seed: int
    number: int = 0

    def __str__(self) -> str:
        return f"{self.seed}:{self.number}"

    @property
    def file_name(self) -> str:
        """The name of the picture's file without its ending, such as seed00005 or seed00001-00017."""
        return f"seed{self.seed:05d}" + (f"-{self.number:05d}" if self.number else "")


def numbered(seed: int, first: int, count: int) -> list[Address]:
    """Return the addresses of `count` pictures of a seed, from picture `first` on."""
    # A key has 32 bits: seeds that agree in these draw the same.
    return [Address(seed % (MAX_SEED + 1), number) for number in range(first, first + count)]


def parse(text: str, flag: str, most: int = MAX_PICTURES) -> list[Address]:
    """Read addresses: seeds (5), ranges of seeds (9-20), pictures of a seed (1:17, 1:0-63), with commas between them.

    A seed alone is its picture 0. UserError names the `flag`.
    """
    found: list[Address] = []
    for part in text.split(","):
        for address in _read(part.strip(), flag):
            # Counted as they come: a range of four billion seeds is not stored before it is refused.
            if len(found) == most:
                raise UserError(f"--{flag}={_shortened(text)} names more than {most:,} pictures: give fewer")
            found.append(address)
    return found


def _read(part: str, flag: str) -> Iterator[Address]:
    """Yield the addresses of one part of the text."""
    match = _ADDRESS.fullmatch(part)
    if not match:
        raise UserError(
            f"--{flag} has {_shortened(part)!r}: write a seed (5), seeds (9-20), picture 17 of seed 1 (1:17), or "
            f"pictures of a seed (1:0-63), with commas between them"
        )
    first = int(match["first"])
    last = int(match["last"] or first)
    if last < first:
        raise UserError(f"--{flag} has {part!r}, which ends before it begins: write {last}-{first}")
    highest = MAX_NUMBER if match["seed"] else MAX_SEED
    if last > highest or int(match["seed"] or 0) > MAX_SEED:
        raise UserError(f"--{flag} has {part!r}: seeds go up to {MAX_SEED}, pictures of a seed up to {MAX_NUMBER}")
    for number in range(first, last + 1):
        yield Address(int(match["seed"]), number) if match["seed"] else Address(number)


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
