"""What compiled programs and profiler traces say of themselves, counted.

Programs are read as text: StableHLO is `lowered.as_text()`, what JAX hands to XLA, and HLO `compiled.as_text()`, what
XLA has made of it.
"""

import re

from jax.profiler import ProfileData

HOST = r" (?:infeed|outfeed|send|recv)\(|custom_call_target=\"[^\"]*callback[^\"]*\""
TOLD = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"  # how devices tell each other something


def dilated_in_stablehlo(text):
    """Convolutions dilated on both sides in a program before XLA."""
    wide = lambda line, side: re.search(rf"{side}_dilate = \[(?!1, 1\])", line)
    return sum(bool(wide(line, "lhs") and wide(line, "rhs")) for line in text.splitlines())


def dilated(text):
    """Convolutions dilated on both sides in optimised HLO."""
    windows = re.findall(r" convolution\(.*window=\{([^}]*)\}", text)
    return sum("lhs_dilate=" in window and "rhs_dilate=" in window for window in windows)


def host_operations(text):
    """Operations of optimised HLO that talk to the host."""
    return len(re.findall(HOST, text))


def all_reduced(text):
    """Bytes of every all-reduce of optimised HLO, and of whatever else devices tell each other: [int]."""
    found = re.findall(rf"= (.*?) (?:{TOLD})(?:-start)?\(", text)
    return [sum(map(_bytes, re.findall(r"([a-z]+)(\d*)\[([\d,]*)\]", shapes))) for shapes in found]


def _bytes(shape):
    kind, bits, sides = shape
    count = 1
    for side in filter(None, sides.split(",")):
        count *= int(side)
    return count * (1 if kind == "pred" else int(bits) // 8)


def between_log_lines(path, dispatches):
    """Counts of a trace, from the first dispatch of the step's program to the last; {} where a trace says nothing.

    The names are those that JAX 0.10 to 0.12 give what their main thread does.
    """
    events = [e for plane in ProfileData.from_file(str(path)).planes for line in plane.lines for e in line.events]
    events.sort(key=lambda event: event.start_ns)
    runs = [e for e in events if re.match(r"[^\[]*Executable::Execute \(jit_", e.name)]
    steps = [e for e in runs if e.name.endswith("(jit_replica)")]
    if not steps:
        return {}
    assert len(steps) == dispatches, f"{len(steps)} dispatches of the step"
    inside = lambda e: steps[0].start_ns <= e.start_ns <= steps[-1].start_ns
    named = lambda name: sum(e.name == name and inside(e) for e in events)
    return {
        "programs_per_dispatch": sum(map(inside, runs)) / dispatches,
        "reads_per_dispatch": named("np.asarray(jax.Array)") / (dispatches - 1),
        "writes_per_dispatch": named("DevicePutWithSharding") / (dispatches - 1),
    }
