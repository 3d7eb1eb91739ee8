"""What devices exchange, as an optimised program has it: its bytes, and where the compilers of TPUs hide it in fusions.

A TPU's program may have an exchange inside of a fusion: alone, or in a chain of fusions. The first fusion of a chain
starts the exchange, the last one waits for it, and those between them compute something else while it goes on.
"""

import re
from typing import NamedTuple

from logogan_jax.plan.hlo import Instruction

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# The parts of an exchange that a fusion may have.
ALL, START, MIDDLE, END, NONE = "all", "start", "middle", "end", ""


class FusedExchange(NamedTuple):
    """An exchange in a fusion.

    Attributes:
        part: which part of it the fusion has.
        kind: one of KINDS.
        moved_bytes: of the whole exchange, as moved_bytes returns them.
        chain: the compiler's number of a chain of fusions, or "".
    """

    part: str = NONE
    kind: str = ""
    moved_bytes: int = 0
    chain: str = ""


def moved_bytes(kind: str, operands: list[Instruction], result: Instruction) -> int:
    """Return the bytes of an exchange, counted in all-reduces: other kinds are half of one."""
    # Devices exchange what lies in a scratchpad, too.
    whole = max(sum(operand.whole_nbytes for operand in operands), result.whole_nbytes)
    return whole if kind == "all-reduce" else whole // 2


def in_fusion(fusion: Instruction, inner: dict[str, Instruction]) -> FusedExchange:
    """Return what devices exchange in a fusion, of which `inner` has the instructions."""
    exchange = next((other for other in inner.values() if other.opcode in KINDS), None)
    if exchange is None:
        return FusedExchange()
    chain = _chain(exchange)
    kind = exchange.opcode
    operands = [inner[name] for name in exchange.operands if name in inner]
    if kind == "all-reduce" and not chain and 2 * fusion.whole_nbytes <= exchange.whole_nbytes:
        kind = "reduce-scatter"  # each device keeps its part of the sum
    return FusedExchange(_part(inner) if chain else ALL, kind, moved_bytes(kind, operands, exchange), chain)


def passed_on(inner: dict[str, Instruction]) -> set[str]:
    """Return what a fusion in the middle of a chain only passes on: neither read nor written by what it computes."""
    chained = {name for name, other in inner.items() if other.opcode in KINDS and _chain(other)}
    if not chained:
        return set()
    neutral = {*chained, list(inner)[-1]}  # the last instruction is what the fusion returns
    used = {operand for name, other in inner.items() if name not in neutral for operand in other.operands}
    return chained | {name for name, other in inner.items() if other.opcode == "parameter" and name not in used}


def _chain(exchange: Instruction) -> str:
    found = re.search(r'chain_id="([^"]*)"', exchange.attributes)
    return found.group(1) if found else ""


def _part(inner: dict[str, Instruction]) -> str:
    calls = " ".join(other.attributes for other in inner.values() if other.opcode == "custom-call")
    if "AsyncCollectiveStart" in calls:
        return START
    return END if "AsyncCollectiveDone" in calls else MIDDLE
