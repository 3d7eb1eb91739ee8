"""Count what a training step makes a GPU or TPU do that is not here: results/counted-targets.json and docs/speed.md.

    python benchmarks/counted_targets.py [--targets=h100,v5e] [--only=CONFIG,...] [--devices=1,8] [--images=N] [--check]

Nothing is timed. The step of a shipped config, at its own batch size and in bfloat16, is compiled for devices that need
not be there, and its kernels are counted: see logogan_jax/plan. Each row takes a minute or more. The counts follow from
the code and from the versions of JAX and of the target's compiler. With --check nothing is written, and the status is 1
if a count differs from the record by more than its tolerance.
"""

import dataclasses
import json
import os
import sys
from typing import Any

from logogan_jax.plan import targets

if __name__ == "__main__":
    os.environ.update(targets.ENVIRONMENT)  # before JAX is imported

from record import RESULTS, parser, rewrite_table, write_record

from logogan_jax.config import shipped
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan import estimate, rows
from logogan_jax.plan.estimate import Estimate

NAME = "counted-targets"
CONFIGS = ("wgan28", "wgan56", "dcgan56", "r3gan56")
TANH = "quickstart-tanh"  # the quickstart without marks, on images of one channel: what it costs to draw marks
TARGETS = ("h100", "v5e")
DEVICES = (1, 8)
IMAGES = 2_929  # in the data set, about as many as are embedded
LABELS = 16  # of it, for a config that has labels
# Of counts whose compiler is the recorded one. Layouts and tiles may change with the machine that compiles.
TOLERANCE = 0.02
COUNTS = (
    "kernels", "bytes", "product_bytes", "temporary_bytes", "copies", "pads", "host_transfers", "collectives",
    "exchanged_bytes",
)  # fmt: skip


def compile_step(config: str, target: str, devices: int, images: int = IMAGES) -> Estimate:
    """Compile the step of a shipped config, or of TANH, for some devices of a target; return what it needs."""
    values = shipped.get_config(config.removesuffix("-tanh"))
    if config == TANH:
        values.mark.inks, values.data.channels = 0, 1
    labels = {str(number): images // LABELS for number in range(LABELS)} if values.data.labels else {}
    info = DatasetInfo("", images, labels, ("#000000",))
    return estimate.estimate(values, info, targets.load()[target], devices=devices, hosts=1, dollars_per_hour=0.0)


def count(config: str, target: str, devices: int, images: int = IMAGES) -> dict[str, Any]:
    """Compile the step of a shipped config for some devices of a target -> the counts of one device, by name."""
    found = compile_step(config, target, devices, images)
    figures = {**dataclasses.asdict(found.counts), "temporary_bytes": found.memory.temporaries}
    return {name: figures[name] for name in COUNTS}


def compiler(target: str) -> str:
    """Return the versions of what compiles for a target, as one text."""
    return ", ".join(f"{name} {version}" for name, version in rows.versions(targets.load()[target].platform).items())


def read_record() -> dict[str, dict[str, dict[str, Any]]]:
    """Read the recorded counts: {versions of the compiler: {"wgan56 on 8 x h100": counts}}."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text(encoding="utf-8"))["compilers"] if path.exists() else {}


def title(config: str, target: str, devices: int, images: int = IMAGES) -> str:
    """Return the name of a row."""
    return f"{config} on {devices} x {target}" + (f", {images:,} images" if images != IMAGES else "")


def table(record: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Write the counts as a table of Markdown, of each row those by the compiler that was recorded last."""
    titles = ("kernels", "GB read and written", "GB by products", "temporaries, MB", "exchanges", "exchanged, MB")
    lines = [f"| step, bfloat16 | {' | '.join(titles)} |", "|---|" + "---:|" * len(titles)]
    newest = {row: counts for recorded in record.values() for row, counts in recorded.items()}
    for row, counts in newest.items():
        cells = [
            row,
            f"{counts['kernels']:,}",
            f"{counts['bytes'] / 1e9:.2f}",
            f"{counts['product_bytes'] / 1e9:.2f}" if "product_bytes" in counts else "",
            f"{counts['temporary_bytes'] / 1e6:,.0f}",
        ]
        cells += [str(counts["collectives"]), f"{counts['exchanged_bytes'] / 1e6:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def differences(row: str, counts: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """List in words which counts of a row differ from the recorded ones."""
    return [
        f"{row}: {name} was {old[name]:,} and is {value:,}: if you intended this, run "
        f"python benchmarks/counted_targets.py --only={row.split()[0]}"
        for name, value in counts.items()
        if name in old and abs(value - old[name]) > TOLERANCE * old[name]
    ]


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--targets", default=",".join(TARGETS), help="targets of logogan_jax.plan, comma-separated")
    flags.add_argument("--only", default=",".join(CONFIGS), help="shipped configs or quickstart-tanh, comma-separated")
    flags.add_argument("--devices", default=",".join(map(str, DEVICES)), help="numbers of devices, comma-separated")
    flags.add_argument("--images", type=int, default=IMAGES, help="in the data set")
    flags.add_argument("--check", action="store_true", help="write nothing; status 1 if something differs")
    args = flags.parse_args()
    record = read_record()
    messages = []
    for target in args.targets.split(","):
        for config in args.only.split(","):
            for devices in map(int, args.devices.split(",")):
                row = title(config, target, devices, args.images)
                counts = count(config, target, devices, args.images)
                print(row, counts, flush=True)
                recorded = record.setdefault(compiler(target), {})
                messages += differences(row, counts, recorded[row]) if row in recorded else []
                if args.check and row not in recorded:
                    messages.append(f"{row}: nothing is recorded for {compiler(target)}")
                recorded[row] = counts
                if not args.check:  # after each, because the next one takes minutes
                    command = "python benchmarks/counted_targets.py"
                    write_record(NAME, command, {"images": IMAGES, "dtype": "bfloat16", "compilers": record})
                    rewrite_table("docs/speed.md", NAME, table(record))
    print(*messages, sep="\n")
    if args.check:
        sys.exit(bool(messages))


if __name__ == "__main__":
    main()
