"""Transfers between the main memory and the memory of a TPU's chip, which go on beside kernels."""

from collections.abc import Mapping

from logogan_jax.plan.hlo import MAIN_MEMORY, Instruction

STARTS = ("copy-start", "slice-start")


def moved_bytes(known: Mapping[str, Instruction], start: Instruction) -> int:
    """Return the bytes of the main memory that a transfer reads and writes: of what it moves, not of its whole source.

    Args:
        known: the instructions of its computation, by name.
        start: the instruction that starts it.
    """
    source = known[start.operands[0]].arrays[0]
    # Its result holds the source, too, before or after the target.
    first, second = start.arrays[:2]
    target = second if first == source else first
    return target.whole_nbytes * sum(array.space == MAIN_MEMORY for array in (source, target))
