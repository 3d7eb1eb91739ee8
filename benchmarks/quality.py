"""Train the small run of every objective, about five minutes on two CPU cores, and measure its pictures.

    python benchmarks/quality.py [--only=NAME] [--table]

Writes benchmarks/results/quality-cpu.json, and its table between the markers of README.md. `--table` only writes the
table of the committed numbers. `--only=NAME` trains one objective and keeps the rows of the others.
"""

import json
import pathlib
import shlex
import tempfile
from typing import Any

import runs
import small
from record import RESULTS, machine, parser, portable, rewrite_table, write_record

from logogan_jax import __version__

SAMPLES = 2048


def train_and_evaluate(objective: str) -> dict[str, Any]:
    """Return the row of an objective: its command, and what summary.json and evaluation.json say."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder) / objective
        words = small.command(objective, f"--workdir={workdir}")
        evaluate = ["python", "-m", "logogan_jax.evaluate", f"--workdir={workdir}"]
        for command in (words, [*evaluate, f"--num_samples={SAMPLES}", "--real_vs_real"]):
            status, last_line = runs.run(command)
            assert status == 0, last_line
        summary = runs.summary(workdir)
        evaluation = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    del evaluation["copies"]["images"]
    return {
        "command": shlex.join(portable(word, workdir) for word in words),
        "minutes": round(summary["seconds"] / 60, 2),
        "machine": machine(),
        "images": summary["steps"] * 32,
        "events": summary["events"],
        "device_kind": summary["device_kind"],
        "versions": summary["versions"],
        "evaluation": evaluation,
    }


def metric_cells(metrics: dict[str, Any], copies: float) -> str:
    """Format the cells that every row of the table has: KID, precision, recall, and the share of copies."""
    kid, precision, recall = (metrics[f"{name}_efflite0"] for name in ("kid", "precision", "recall"))
    interval = f"{kid['value']:.3f} ({kid['low']:.3f} to {kid['high']:.3f})"
    return f"{interval} | {precision['value']:.2f} | {recall['value']:.3f} | {copies:.1%}"


def table(record: dict[str, Any]) -> str:
    """Format the rows as a Markdown table; the last row compares real logos with real logos."""
    lines = [
        "| objective | KID | precision | recall | copies | minutes | machine |",
        "|---|---|---|---|---|---|---|",
    ]
    for objective, row in record["rows"].items():
        evaluation = row["evaluation"]
        cells = metric_cells(evaluation["against"]["held out"], evaluation["copies"]["share"]["value"])
        where = f"{row['machine']['processor']}, {row['machine']['cores']} cores"
        lines.append(f"| {small.RUNS[objective][0]} | {cells} | {row['minutes']:.1f} | {where} |")
    evaluation = next(iter(record["rows"].values()))["evaluation"]
    cells = metric_cells(evaluation["against"]["real vs real"], evaluation["copies"]["false_alarm_rate"])
    lines.append(f"| *real logos* | {cells} | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", choices=sorted(small.RUNS), help="train only this objective, keep the others' rows")
    flags.add_argument("--table", action="store_true", help="train nothing: write the table of the committed numbers")
    args = flags.parse_args()
    known = (
        json.loads((RESULTS / "quality-cpu.json").read_text(encoding="utf-8"))
        if args.only or args.table
        else {"rows": {}}
    )
    if args.table:
        rewrite_table("README.md", "results", table(known))
        return
    rows = dict(known["rows"])
    for objective in [args.only] if args.only else small.RUNS:
        rows[objective] = train_and_evaluate(objective)
        print(objective, rows[objective]["minutes"], "minutes", flush=True)
    record = {
        "version": __version__,
        "rows": {objective: rows[objective] for objective in small.RUNS if objective in rows},
    }
    write_record("quality-cpu", "python benchmarks/quality.py", record)
    rewrite_table("README.md", "results", table(record))


if __name__ == "__main__":
    main()
