"""What an optimised program makes a device do: kernels, the bytes that each moves, products, exchanges of devices.

A kernel reads each operand once and writes each result once. The body of a loop counts as often as it runs. Inside of
a fusion, an operand of which only slices or gathered rows are used counts as those.

On a TPU two things are no kernels: transfers between the main memory and that of the chip, which go on beside kernels,
and operations on scalars in the memory of the scalar unit, for which its compiler expects no cycles.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator

from logogan_jax.plan import exchanges, products, transfers
from logogan_jax.plan.exchanges import FusedExchange
from logogan_jax.plan.hlo import SCALAR_MEMORY, Instruction, Program

# These move no data.
_FREE = (
    "parameter", "constant", "bitcast", "tuple", "get-tuple-element", "after-all", "partition-id", "replica-id",
    "opt-barrier", "add-dependency", "domain", "async-update",
)  # fmt: skip
WAIT = "wait"  # for the end of what began before: a place in the order, no kernel
TRANSFER = "transfer"  # between two memories, beside the kernels that follow: no kernel
_NO_KERNEL = r"AllocateBuffer|ConcatBitcast|Sharding|annotate\w*|\w*Barrier"  # of custom calls
_HOST = ("infeed", "outfeed", "send", "recv")
_SLICES = ("dynamic-slice", "gather", "slice")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel that the device starts.

    Attributes:
        name: of its instruction.
        kind: the operation, of a call into a library its name, "all-reduce" etc. of an exchange, or what is no kernel:
            WAIT or TRANSFER.
        nbytes: that it reads and writes in the main memory.
        flops: floating-point operations of its matrix products and convolutions.
        dtype: that of the products' operands.
        cycles: that the compiler expects, or 0 where it does not say.
        runs: how often a run of the program starts it.
        exchanged_bytes: that it exchanges with other devices, as bytes of an all-reduce: one around a ring is a
            reduce-scatter and an all-gather, of which each counts half.
        end: name of the instruction that waits for it, or "" where it waits itself.
    """

    name: str
    kind: str
    nbytes: int
    flops: int = 0
    dtype: str = "f32"
    cycles: int = 0
    runs: int = 1
    exchanged_bytes: int = 0
    end: str = ""


def kernels(program: Program) -> list[Kernel]:
    """List the kernels of a program in the order in which they start."""
    return list(_kernels(program, program.entry, 1))


def _kernels(program: Program, computation: str, runs: int) -> Iterator[Kernel]:
    instructions = program.computations[computation]
    for instruction in instructions.values():
        opcode = instruction.opcode
        if opcode == "while":
            trips = _trip_count(program, instruction)
            yield from _kernels(program, instruction.called("body"), runs * trips)
        elif opcode == "conditional":
            branches = [list(_kernels(program, name, runs)) for name in instruction.branches()]
            yield from max(branches, key=lambda found: sum(kernel.nbytes for kernel in found), default=[])
        elif opcode == "call":
            yield from _kernels(program, instruction.called("to_apply"), runs)
        elif opcode == "async-start":
            end = _end(instructions, instruction.name)
            for kernel in _kernels(program, instruction.called("calls"), runs):
                yield dataclasses.replace(kernel, end=end)
        elif opcode.endswith("-done") or _fused_exchange(program, instruction).part == exchanges.END:
            yield Kernel(instruction.name, WAIT, 0, runs=0)
        elif opcode in transfers.STARTS:
            moved = transfers.moved_bytes(instructions, instruction)
            yield Kernel(instruction.name, TRANSFER, moved, runs=runs, end=_end(instructions, instruction.name))
        elif opcode not in _FREE and not _is_buffer(instruction) and not _is_scalar(instruction):
            yield _kernel(program, instructions, instruction, runs)


def _is_buffer(instruction: Instruction) -> bool:
    """Return whether a custom call only gives memory or is a note of the compiler."""
    target = re.search(r'custom_call_target="([^"]*)"', instruction.attributes)
    return bool(target and re.fullmatch(_NO_KERNEL, target.group(1)))


def _is_scalar(instruction: Instruction) -> bool:
    """Return whether an operation is one on a scalar, which a TPU's scalar unit does."""
    return bool(instruction.arrays) and all(array.space == SCALAR_MEMORY for array in instruction.arrays)


def _kernel(program: Program, instructions: dict[str, Instruction], instruction: Instruction, runs: int) -> Kernel:
    operands = [instructions[name] for name in instruction.operands if name in instructions]
    kind = _kind(instruction)
    cycles = re.search(r'"estimated_cycles":"(\d+)"', instruction.attributes)
    kernel = Kernel(
        name=instruction.name,
        kind=kind,
        nbytes=_results_bytes(instruction) + sum(operand.nbytes for operand in operands),
        cycles=int(cycles.group(1)) if cycles else 0,
        runs=runs,
    )
    if kind in exchanges.KINDS:
        end = _end(instructions, instruction.name) if "start" in instruction.opcode else ""
        # What it starts from is part of the result of a start.
        moved = exchanges.moved_bytes(kind, operands, instructions[end] if end else instruction)
        return dataclasses.replace(kernel, exchanged_bytes=moved, end=end)
    if instruction.opcode == "fusion":
        inner = program.computations[instruction.called("calls")]
        fused = _fused_exchange(program, instruction)
        if fused.part in (exchanges.ALL, exchanges.START):
            end = _end_of_chain(program, instructions, instruction.name, fused.chain)
            return dataclasses.replace(kernel, kind=fused.kind, exchanged_bytes=fused.moved_bytes, end=end)
        counted = [products.count(other, inner) for other in inner.values()]
        return dataclasses.replace(
            kernel, nbytes=_fusion_bytes(instruction, operands, inner), **products.total(counted)
        )
    return dataclasses.replace(kernel, **products.total([products.count(instruction, instructions)]))


def _kind(instruction: Instruction) -> str:
    opcode = instruction.opcode.removesuffix("-start")
    if opcode == "custom-call":
        target = re.search(r'custom_call_target="([^"]*)"', instruction.attributes)
        return target.group(1) if target else opcode
    if opcode == "fusion":
        # XLA names a fusion after what it does: loop_pad_fusion.12, input_reduce_fusion, gemm_fusion_dot.3.
        return re.sub(r"[.\d]+$", "", instruction.name)
    return opcode


def _results_bytes(instruction: Instruction) -> int:
    """Return the bytes that a kernel writes. A library's workspace, the last of its results, is none of them."""
    arrays = instruction.arrays
    if instruction.opcode == "custom-call" and len(arrays) > 1 and arrays[-1].dtype in ("u8", "s8"):
        arrays = arrays[:-1]
    return sum(array.nbytes for array in arrays)


def _fusion_bytes(instruction: Instruction, operands: list[Instruction], inner: dict[str, Instruction]) -> int:
    """Return the bytes that a fusion moves."""
    parameters = [other for other in inner.values() if other.opcode == "parameter"]
    numbers = {parameter.name: int(parameter.operands[0]) for parameter in parameters}
    root = list(inner.values())[-1]
    passed_on = exchanges.passed_on(inner)
    total = 0
    updated = ""
    if root.opcode == "dynamic-update-slice":
        # Only the slice is written into an array that stays where it is.
        updated = root.operands[0]
        total += inner[root.operands[1]].nbytes
    elif passed_on:
        written = zip(root.operands, instruction.arrays, strict=True)
        total += sum(array.nbytes for name, array in written if name not in passed_on)
    else:
        total += instruction.nbytes
    for name, number in numbers.items():
        users = [other for other in inner.values() if name in other.operands]
        if name in passed_on or (name == updated and users == [root]):
            continue
        if users and all(user.opcode in _SLICES and user.operands[0] == name for user in users):
            total += sum(user.nbytes for user in users)
        elif number < len(operands):
            total += operands[number].nbytes
    return total


def _trip_count(program: Program, loop: Instruction) -> int:
    """Return how often a loop runs: what the compiler says, or the number that its condition compares with."""
    known = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attributes)
    if known:
        return int(known.group(1))
    condition = program.computations[loop.called("condition")]
    limits = [
        int(other.operands[0])
        for other in condition.values()
        if other.opcode == "constant" and other.operands and other.operands[0].isdigit()
    ]
    return max(limits, default=1)


def _end(instructions: dict[str, Instruction], start: str) -> str:
    return next(
        (other.name for other in instructions.values() if other.opcode.endswith("-done") and start in other.operands),
        "",
    )


def _fused_exchange(program: Program, instruction: Instruction) -> FusedExchange:
    """Return what devices exchange in a fusion."""
    inner = program.computations[instruction.called("calls")] if instruction.opcode == "fusion" else {}
    return exchanges.in_fusion(instruction, inner)


def _end_of_chain(program: Program, instructions: dict[str, Instruction], start: str, chain: str) -> str:
    """Return the fusion that waits for an exchange that began in the fusion `start`, or "" where that waits itself."""
    later = itertools.dropwhile(lambda name: name != start, instructions)
    found = ((name, _fused_exchange(program, instructions[name])) for name in later)
    return next((name for name, fused in found if chain and (fused.part, fused.chain) == (exchanges.END, chain)), "")


# ── sums ────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Counts:
    """Sums over the kernels of a program, for one training step.

    `product_bytes` are those of kernels with matrix products or convolutions. `copies` and `pads` are kernels that only
    move data; `library_calls` those of cuDNN, cuBLAS and the like; `host_transfers` those that wait for the host;
    `collectives` the exchanges between devices, of `exchanged_bytes`.
    """

    kernels: int
    bytes: int
    product_bytes: int
    product_flops: int
    copies: int
    pads: int
    library_calls: int
    host_transfers: int
    collectives: int
    exchanged_bytes: int


def count(found: list[Kernel], steps: int) -> Counts:
    """Add up the kernels of a program that takes some steps."""
    each = lambda value: round(sum(kernel.runs * value(kernel) for kernel in found) / steps)
    exchanged = lambda kernel: kernel.kind in exchanges.KINDS
    return Counts(
        kernels=each(lambda kernel: kernel.kind != TRANSFER),
        bytes=each(lambda kernel: kernel.nbytes),
        product_bytes=each(lambda kernel: kernel.nbytes if kernel.flops else 0),
        product_flops=each(lambda kernel: kernel.flops),
        copies=each(lambda kernel: kernel.kind in ("copy", "transpose", "loop_copy_fusion", "copy_fusion")),
        pads=each(lambda kernel: "pad" in kernel.kind),
        library_calls=each(lambda kernel: kernel.kind.startswith("__")),
        host_transfers=each(lambda kernel: kernel.kind in _HOST or "callback" in kernel.kind),
        collectives=each(exchanged),
        exchanged_bytes=each(lambda kernel: kernel.exchanged_bytes),
    )
