"""Predict what the shipped configs need of GPUs and TPUs that are not here: results/plans.json and docs/speed.md.

    python benchmarks/plans.py [--only=CONFIG,CONFIG] [--targets=TARGET,TARGET]

Nothing is timed. Three configs are compiled for one device of each target of logogan_jax/plan, and all shipped configs
for eight of H100 and of v5e, in bfloat16 and with the batch sizes of the configs. A row takes a core some minutes, so
each is recorded as soon as it is there. Rows that the same compiler has recorded are not compiled again.
"""

import json
import os
from typing import Any

from logogan_jax.plan import targets

if __name__ == "__main__":
    os.environ.update(targets.ENVIRONMENT)  # before JAX is imported

from counted_targets import IMAGES, compile_step, title
from record import RESULTS, ROOT, parser, rewrite_table, write_record

from logogan_jax.plan import rows

NAME = "plans"
EVERYWHERE = ("wgan56", "dcgan112", "r3gan112")  # on one device of each target
EIGHT = ("h100", "v5e")  # of which eight train each config
_HEADER = ("8 x", "batch", "kernels", "GB a step", "ms a step", "steps/s", "exposed, ms", "hours", "$")


def wanted() -> list[tuple[str, str, int]]:
    """Return what is to be compiled: (config, target, devices)."""
    configs = sorted(path.stem for path in ROOT.glob("configs/*.py") if path.stem != "__init__")
    single = [(config, target, 1) for config in EVERYWHERE for target in targets.load()]
    return single + [(config, target, 8) for target in EIGHT for config in configs]


def read_record() -> dict[str, dict[str, Any]]:
    """Read the recorded rows: {"wgan56 on 8 x h100": row}."""
    path = RESULTS / f"{NAME}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}


def single_tables(record: dict[str, dict[str, Any]]) -> str:
    """Write the table of machines for each config that is compiled for all of them."""
    parts = []
    for config in EVERYWHERE:
        found = [row for row in record.values() if row["config"] == config and row["devices"] == 1]
        if found:
            parts.append(f"`{config}`, batch {found[0]['batch_size']}:\n\n{rows.table(found)}\n")
    return "\n" + "\n".join(parts) + "\n"


def eight_tables(record: dict[str, dict[str, Any]]) -> str:
    """Write the table of all configs for eight devices of each target."""
    parts = []
    for target in EIGHT:
        chosen = [record.get(title(*row)) for row in wanted() if row[1:] == (target, 8)]
        lines = [
            (f"{_HEADER[0]} {targets.load()[target].title}", *_HEADER[1:]),
            ("---", *["---:"] * (len(_HEADER) - 1)),
        ]
        lines += [_cells(row) for row in chosen if row]
        if any(chosen):
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["config"],
        str(row["batch_size"]),
        f"{row['kernels']:,}",
        rows.gigabytes(row["bytes"]),
        f"{1e3 * row['step_seconds']:.3g}",
        rows.rate(1 / row["step_seconds"]),
        f"{1e3 * row['exposed_seconds']:.2g}",
        f"{row['hours']:.2f}",
        "?" if row["dollars"] is None else f"{row['dollars']:.2f}",
    )


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", default="", help="shipped configs, comma-separated; default: all")
    flags.add_argument("--targets", default="", help="targets of logogan_jax.plan, comma-separated; default: all")
    args = flags.parse_args()
    record = read_record()
    for config, target, devices in wanted():
        name = title(config, target, devices)
        compiler = rows.versions(targets.load()[target].platform)
        chosen = config in (args.only or config).split(",") and target in (args.targets or target).split(",")
        if not chosen or record.get(name, {}).get("compiler") == compiler:
            continue
        record[name] = rows.to_json(config, compile_step(config, target, devices))
        print(name, f"{1e3 * record[name]['step_seconds']:.3g} ms a step", flush=True)
        write_record(NAME, "python benchmarks/plans.py", {"images": IMAGES, "rows": record})
        rewrite_table("docs/speed.md", NAME, single_tables(record))
        rewrite_table("docs/speed.md", "plans-eight", eight_tables(record))


if __name__ == "__main__":
    main()
