"""See which part of a step an NVIDIA GPU runs as CUDA graphs, without one: results/cuda-graphs.json.

    python benchmarks/cuda_graphs.py [--only=CONFIG,CONFIG] [--devices=1,8] [--target=h100]

XLA captures sequences of kernels as CUDA graphs, which it calls command buffers. The CPU starts a graph at once, and
each other kernel on its own. The script compiles the program that trains, has XLA write the sequence of what the device
is started for, and counts, by kind, what lies within the graphs and what lies outside and so interrupts them. Each line
of the program counts once, however often a loop runs it. A second row has XLA's experimental fusion of convolutions,
whose calls of cuDNN can be captured.
"""

import collections
import os
import pathlib
import re
import tempfile
from typing import Any

from logogan_jax.plan import targets

if __name__ == "__main__":
    os.environ.update(targets.ENVIRONMENT)  # before JAX is imported

import jax
from counted_targets import IMAGES, compiler
from record import parser, rewrite_table, write_record

from logogan_jax.config import build_training, shipped
from logogan_jax.core import target as tracing_target
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan import topology
from logogan_jax.plan.step_shapes import StepShapes

CONFIGS = ("quickstart", "wgan56", "dcgan56", "r3gan56")
GRAPH = "CommandBuffer"
LINE = re.compile(
    r"^( *)\d+: k(\w+) ", re.MULTILINE
)  # such as "    041: kCustomKernel [source | sink] loop_add_fusion"
OPTIONS = {"as XLA does it": {}, "convolutions fused": {"xla_gpu_experimental_enable_conv_fusion": True}}


def read_sequence(text: str) -> dict[str, Any]:
    """Count the graphs of a sequence as XLA writes it, and, by kind, what lies within them and outside of them."""
    graphs = 0
    counts: dict[str, collections.Counter[str]] = {"inside": collections.Counter(), "outside": collections.Counter()}
    around: list[tuple[int, str]] = []  # indentation and kind of what a line lies in
    for indentation, kind in LINE.findall(text):
        around = [(depth, outer) for depth, outer in around if depth < len(indentation)]
        if kind == GRAPH:
            graphs += 1
        else:
            counts["inside" if GRAPH in dict(map(reversed, around)) else "outside"][kind] += 1
        around.append((len(indentation), kind))
    return {"graphs": graphs, **{place: dict(found.most_common()) for place, found in counts.items()}}


def count(config: str, target: str, devices: int, options: dict[str, Any]) -> dict[str, Any]:
    """Compile the step of a shipped config for some devices of a target and count what its graphs capture."""
    with tracing_target.tracing_for("gpu"), tempfile.TemporaryDirectory() as folder:
        resolved = build_training.resolve(shipped.get_config(config))
        info = DatasetInfo("", IMAGES, {}, ("#000000",))
        step = StepShapes(resolved, info, topology.devices(targets.load()[target], devices, 1))
        step.program.lower(*step.arguments).compile(compiler_options={"xla_dump_to": folder, **options})
        (path,) = pathlib.Path(folder).glob("*multi_step*.thunk_sequence_after_thunk_passes.txt")
        return read_sequence(path.read_text(encoding="utf-8"))


def table(counts: dict[str, dict[str, Any]]) -> str:
    """Write the counts as a table of Markdown."""
    lines = ["| program | graphs | in graphs | outside: kernels | calls of cuDNN | loops | exchanges |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for row, found in counts.items():
        outside = found["outside"]
        exchanges = sum(count for kind, count in outside.items() if kind.startswith("All"))
        kinds = [outside.get("CustomKernel", 0), outside.get("Convolution", 0), outside.get("While", 0), exchanges]
        lines.append(f"| {row} | {found['graphs']} | {sum(found['inside'].values())} | {' | '.join(map(str, kinds))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--target", default="h100", help="a GPU of logogan_jax.plan")
    flags.add_argument("--only", default=",".join(CONFIGS), help="shipped configs, comma-separated")
    flags.add_argument("--devices", default="1,8", help="numbers of devices, comma-separated")
    args = flags.parse_args()
    # JAX writes programs for devices that are not there into its cache, and cannot read them.
    jax.config.update("jax_enable_compilation_cache", False)
    found: dict[str, dict[str, Any]] = {}
    for config in args.only.split(","):
        for devices in map(int, args.devices.split(",")):
            for name, options in OPTIONS.items():
                row = f"{config} on {devices} x {args.target}, {name}"
                found[row] = count(config, args.target, devices, options)
                print(row, found[row], flush=True)
    command = f"python benchmarks/cuda_graphs.py --only={args.only} --devices={args.devices} --target={args.target}"
    write_record("cuda-graphs", command, {"compiler": compiler(args.target), "counts": found})
    rewrite_table("docs/speed.md", "cuda-graphs", table(found))


if __name__ == "__main__":
    main()
