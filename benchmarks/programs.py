"""Count what compiled programs and profiler traces contain.

Programs are read as text: StableHLO is `lowered.as_text()`, which JAX hands to XLA, and HLO is `compiled.as_text()`,
which XLA makes of it.
"""

import pathlib
import re

from jax.profiler import ProfileData

from logogan_jax.plan import costs, hlo

HOST_OPERATION = r" (?:infeed|outfeed|send|recv)\(|custom_call_target=\"[^\"]*callback[^\"]*\""


def slow_in_stablehlo(text: str) -> int:
    """Count the convolutions of StableHLO of a dilated image by a filter that is dilated or the size of an image."""
    is_dilated = lambda line, side: re.search(rf"{side}_dilate = \[(?!1, 1\])", line)
    is_image_sized = lambda line: "x[i, 0, 1, o]" in line  # the gradient of a filter sums over images
    is_slow = lambda line: is_dilated(line, "lhs") and (is_dilated(line, "rhs") or is_image_sized(line))
    return sum(bool(is_slow(line)) for line in text.splitlines() if "stablehlo.convolution" in line)


def doubly_dilated_in_hlo(text: str) -> int:
    """Count the convolutions of HLO that are dilated on both sides."""
    windows = re.findall(r" convolution\(.*window=\{([^}]*)\}", text)
    return sum("lhs_dilate=" in window and "rhs_dilate=" in window for window in windows)


def host_operations(text: str) -> int:
    """Count the operations of HLO that exchange data with the host."""
    return len(re.findall(HOST_OPERATION, text))


def collective_bytes(text: str) -> list[int]:
    """List the bytes that each exchange between devices in HLO moves, as bytes of an all-reduce: see plan/costs.py."""
    return [kernel.exchanged_bytes for kernel in costs.kernels(hlo.parse(text)) if kernel.exchanged_bytes]


def count_between_log_lines(path: pathlib.Path, dispatches: int) -> dict[str, float]:
    """Count a profiler trace from the first dispatch of the step's program to the last.

    The names of the events are those that JAX 0.10 to 0.12 give. Returns {} for a trace without them.
    """
    events = [e for plane in ProfileData.from_file(str(path)).planes for line in plane.lines for e in line.events]
    events.sort(key=lambda event: event.start_ns)
    programs = [e for e in events if re.match(r"[^\[]*Executable::Execute \(jit_", e.name)]
    steps = [e for e in programs if e.name.endswith("(jit_multi_step)")]
    if not steps:
        return {}
    assert len(steps) == dispatches, f"{len(steps)} dispatches of the step"
    is_inside = lambda e: steps[0].start_ns <= e.start_ns <= steps[-1].start_ns
    count = lambda name: sum(e.name == name and is_inside(e) for e in events)
    return {
        "programs_per_dispatch": sum(map(is_inside, programs)) / dispatches,
        "reads_per_dispatch": count("np.asarray(jax.Array)") / (dispatches - 1),
        "writes_per_dispatch": count("DevicePutWithSharding") / (dispatches - 1),
    }
